/**
 * Works on segments or backups while its disk fails, and inserts rows beside that: `cold-child.js <directory> <operation> <place>`. Tries
 * again until the operation is done, and opens again where an answer says so. Prints `ack <id>` for every row that is acknowledged, `error
 * <code>` for every failure, `replaced` when a restore has taken the place of all that was there, `done <n>` at the end, and then ends without
 * closing anything.
 */

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StatementError } from '@kalamdb/engine';
import { coldOperation, hasTakenOver } from './cold-operations.ts';
import { ColdRows, PREPARED_ROWS, withoutPaths } from './cold-rows.ts';

const TRIES_MAX = 200;
const RETRY_MILLIS = 5;
const INSERTS = 6;

const [, , directory = '', name = '', place = ''] = process.argv;
// LMDB ends its own complaints, which come between, with no line end.
const say = (text: string): void => void writeSync(1, `\n${text}\n`);

const codeOf = (error: unknown): string => {
  const cause = error instanceof StatementError ? error.failure.error : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'untyped';
  // A code of the system, or none, is a failure that nobody gave a name. What LMDB answers goes by INTERNAL_ERROR.
  if (/^(?:E[A-Z0-9]+|untyped)$/.test(code)) return `untyped ${cause}`;
  return code === 'INTERNAL_ERROR' ? withoutPaths(String(cause)) : code;
};

let rows = await ColdRows.open(directory);
const present = new Set(await rows.ids());
const waiting = Array.from({ length: INSERTS }, (_, at) => PREPARED_ROWS + at + 1);
const operation = coldOperation(name);
process.env['FAULT_ARMED'] = '1';

/** Does something again until it succeeds. */
const again = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      say(`error ${what} ${codeOf(error)}`);
      if (attempt === TRIES_MAX) throw error;
      await sleep(RETRY_MILLIS);
    }
  }
};

/** Inserts what is left; answers whether the outcome of one is unknown. */
const insertAll = async (): Promise<boolean> => {
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
    for (let attempt = 1; !present.has(id); attempt += 1) {
      try {
        await rows.insert(id);
        present.add(id);
        say(`ack ${id}`);
      } catch (error) {
        say(`error ${codeOf(error)}`);
        if (codeOf(error) === 'COMMIT_OUTCOME_UNKNOWN') return true;
        if (attempt === TRIES_MAX) throw error;
        await sleep(RETRY_MILLIS);
      }
    }
  }
  return false;
};

let isDone = false;
let isReplaced = false;
const operateAll = async (): Promise<boolean> => {
  for (let attempt = 1; !isDone; attempt += 1) {
    try {
      await operation.run(rows, place);
      isDone = true;
    } catch (error) {
      say(`error operating ${codeOf(error)}`);
      if (codeOf(error) === 'COMMIT_OUTCOME_UNKNOWN') return true;
      if (attempt === TRIES_MAX) throw error;
      // What is there can be read whatever happened.
      const expected = [...present];
      const found = new Set(await again('reading', () => rows.scanned()));
      for (const id of expected) if (!found.has(id)) throw new Error(`row ${id} is missing`, { cause: error });
      await sleep(RETRY_MILLIS);
    }
  }
  return false;
};

const reopen = async (): Promise<void> => {
  await rows.database.close().catch((error: unknown) => say(`error closing ${codeOf(error)}`));
  rows = await again('opening', () => ColdRows.open(directory));
  if (!isReplaced && hasTakenOver(directory)) {
    isReplaced = true;
    isDone = true;
    present.clear();
    say('replaced');
  }
  for (const id of await again('reading', () => rows.ids())) present.add(id);
  for (let id = PREPARED_ROWS + 1; id <= PREPARED_ROWS + INSERTS; id += 1) if (!present.has(id) && !waiting.includes(id)) waiting.push(id);
};

for (;;) {
  const unknown = await Promise.all([insertAll(), operateAll()]);
  if (!unknown.includes(true) && isReplaced === operation.replaces) break;
  await reopen();
  if (operation.replaces && isDone && !isReplaced) throw new Error('what was restored has not taken over');
}
await again('flushing', () => rows.flush());
say(`done ${(await again('reading', () => rows.ids())).length}`);
process.kill(process.pid, 'SIGKILL');

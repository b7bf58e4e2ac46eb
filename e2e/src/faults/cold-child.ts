/**
 * Flushes, compacts or backs up while its disk fails, and inserts rows beside that: `cold-child.js <directory> <operation> <outside>`. Tries
 * again until the operation is done, and opens again where an answer says so. Prints `ack <id>` for every row that is acknowledged, `error
 * <code>` for every failure, `done <n>` at the end, and then ends without closing anything.
 */

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StatementError } from '@kalamdb/engine';
import { ColdRows, coldOperations, PREPARED_ROWS, preparedIds } from './cold-rows.ts';

const TRIES_MAX = 200;
const RETRY_MILLIS = 5;
const INSERTS = 6;

const [, , directory = '', operation = '', outside = ''] = process.argv;
// LMDB ends its own complaints, which come between, with no line end.
const say = (text: string): void => void writeSync(1, `\n${text}\n`);

const codeOf = (error: unknown): string => {
  const cause = error instanceof StatementError ? error.failure.error : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'untyped';
  // A code of the system, or none, is a failure that nobody gave a name. What LMDB answers goes by INTERNAL_ERROR.
  return /^(?:E[A-Z0-9]+|untyped)$/.test(code) ? `untyped ${cause}` : code;
};

let rows = await ColdRows.open(directory);
const present = new Set(preparedIds);
const waiting = Array.from({ length: INSERTS }, (_, at) => PREPARED_ROWS + at + 1);
const operate = coldOperations[operation];
if (operate === undefined) throw new Error(`there is no operation '${operation}'`);
process.env['FAULT_ARMED'] = '1';

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
const operateAll = async (): Promise<boolean> => {
  for (let attempt = 1; !isDone; attempt += 1) {
    try {
      await operate(rows, outside);
      isDone = true;
    } catch (error) {
      say(`error operating ${codeOf(error)}`);
      if (codeOf(error) === 'COMMIT_OUTCOME_UNKNOWN') return true;
      if (attempt === TRIES_MAX) throw error;
      // What is there can be read whatever happened.
      const found = new Set(await rows.ids());
      for (const id of present) if (!found.has(id)) throw new Error(`row ${id} is missing`, { cause: error });
      await sleep(RETRY_MILLIS);
    }
  }
  return false;
};

const reopen = async (): Promise<void> => {
  await rows.database.close().catch((error: unknown) => say(`error closing ${codeOf(error)}`));
  for (let attempt = 1; ; attempt += 1) {
    try {
      rows = await ColdRows.open(directory);
      break;
    } catch (error) {
      say(`error opening ${codeOf(error)}`);
      if (attempt === TRIES_MAX) throw error;
      await sleep(RETRY_MILLIS);
    }
  }
  for (const id of await rows.ids()) present.add(id);
  for (let id = PREPARED_ROWS + 1; id <= PREPARED_ROWS + INSERTS; id += 1) if (!present.has(id) && !waiting.includes(id)) waiting.push(id);
};

for (;;) {
  const unknown = await Promise.all([insertAll(), operateAll()]);
  if (!unknown.includes(true)) break;
  await reopen();
}
await rows.flush();
say(`done ${(await rows.ids()).length}`);
process.kill(process.pid, 'SIGKILL');

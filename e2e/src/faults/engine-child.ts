/**
 * Inserts rows through the engine while its disk fails: `engine-child.js <directory> <durability> <rows>`. Retries what is retryable
 * and opens again what says so. Prints `ack <id>` for every row that is acknowledged, `error <code>` for every failure, `done <n>` at the
 * end, and then ends without closing anything.
 */

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StatementError } from '@kalamdb/engine';
import type { Durability } from '@kalamdb/storage';
import { EngineRows } from './engine-rows.ts';

const TRIES_MAX = 400;
const RETRY_MILLIS = 5;
const WRITERS = 3;
const RETRYABLE: ReadonlySet<string> = new Set(['LOG_WRITE_FAILED', 'WRITES_BUSY']);

const [, , directory = '', durability = 'sync', rows = '30'] = process.argv;
const say = (text: string): void => void writeSync(1, `${text}\n`);

const codeOf = (error: unknown): string => {
  const cause = error instanceof StatementError ? error.failure.error : error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : `untyped ${cause}`;
};

const open = async (): Promise<EngineRows> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await EngineRows.open(directory, durability as Durability);
    } catch (error) {
      say(`error opening ${codeOf(error)} ${error}`);
      if (attempt === TRIES_MAX) throw error;
      await sleep(RETRY_MILLIS);
    }
  }
};

let table = await open();
await table.create();
const waiting = Array.from({ length: Number(rows) }, (_, at) => at + 1);
const present = new Set(await table.ids());
process.env['FAULT_ARMED'] = '1';

/** Inserts rows until there are none left or the outcome of one is unknown. */
const write = async (): Promise<'done' | 'unknown'> => {
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
    for (let attempt = 1; !present.has(id); attempt += 1) {
      try {
        await table.insert(id);
        present.add(id);
        say(`ack ${id}`);
      } catch (error) {
        say(`error ${codeOf(error)}`);
        if (codeOf(error) === 'COMMIT_OUTCOME_UNKNOWN') {
          waiting.unshift(id);
          return 'unknown';
        }
        if (!RETRYABLE.has(codeOf(error)) || attempt === TRIES_MAX) throw error;
        // What is there can be read whatever happens to writes.
        if ((await table.ids()).length < present.size) throw new Error('a row is missing', { cause: error });
        await sleep(RETRY_MILLIS);
      }
    }
  }
  return 'done';
};

for (;;) {
  const outcomes = await Promise.all(Array.from({ length: WRITERS }, write));
  if (!outcomes.includes('unknown')) break;
  await table.database.close().catch((error: unknown) => say(`error closing ${codeOf(error)}`));
  table = await open();
  for (const id of await table.ids()) present.add(id);
}
say(`done ${(await table.ids()).length}`);
process.kill(process.pid, 'SIGKILL');

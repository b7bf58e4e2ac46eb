/**
 * Commits through log and hot tier while its disk fails: `write-child.js <directory> <durability> <commits>`. Retries what may be
 * retried, opens again what says so, applies as the engine does, and reads all the time. Prints `ack <n>` for every commit
 * that is acknowledged, `error <code>` for every one that failed, `done <n>` at the end, and then ends without closing anything.
 */

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Durability } from '@kalamdb/storage';
import { expectedRows, type OpenStore, openStore, smallCommit, storedRows } from './small-store.ts';

/** Tries of one commit or of one batch; a fault is over long before. */
const TRIES_MAX = 400;
const RETRY_MILLIS = 5;
const APPLY_EVERY = 7;

const [, , directory = '', durability = 'sync', commits = '50'] = process.argv;
const say = (text: string): void => void writeSync(1, `${text}\n`);
const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : `untyped ${error}`);

let store: OpenStore = await openStore(directory);
let last = Number(store.log.lastSeq / 10n);
let applied = last;
process.env['FAULT_ARMED'] = '1';

/** Opens again, as often as it takes. */
const reopen = async (): Promise<void> => {
  await store.close().catch((error: unknown) => say(`error ${codeOf(error)}`));
  for (let attempt = 1; ; attempt += 1) {
    try {
      store = await openStore(directory);
      break;
    } catch (error) {
      say(`error opening ${codeOf(error)} ${error}`);
      if (attempt === TRIES_MAX) throw error;
      await sleep(RETRY_MILLIS);
    }
  }
  last = Number(store.log.lastSeq / 10n);
  applied = last;
};

/** Commits the one after `last`; what may or may not have happened is found out by opening again. */
const commitNext = async (): Promise<void> => {
  for (let attempt = 1; attempt <= TRIES_MAX; attempt += 1) {
    const next = last + 1;
    try {
      await store.log.append([smallCommit(next)], durability as Durability);
      last = next;
      return say(`ack ${next}`);
    } catch (error) {
      say(`error ${codeOf(error)}`);
      if (codeOf(error) === 'COMMIT_OUTCOME_UNKNOWN') {
        await reopen();
        if (last >= next) return;
      } else if (codeOf(error) !== 'LOG_WRITE_FAILED') throw error;
      await sleep(RETRY_MILLIS);
    }
  }
  throw new Error('commits do not go on though the fault is over');
};

const checkReads = (): void => {
  if (storedRows(store.hot).join() !== expectedRows(applied).join()) throw new Error(`the rows are not those of commit ${applied}`);
};

const applyAll = async (): Promise<void> => {
  const batch = Array.from({ length: last - applied }, (_, at) => smallCommit(applied + at + 1));
  for (let attempt = 1; batch.length > 0; attempt += 1) {
    try {
      if (store.log.syncedSeq < store.log.lastSeq) await store.log.sync();
      await store.hot.apply(batch);
      break;
    } catch (error) {
      say(`error applying ${codeOf(error)} ${error}`);
      checkReads();
      if (codeOf(error) === 'COMMIT_OUTCOME_UNKNOWN') return reopen();
      if (attempt === TRIES_MAX) throw new Error('batches are not applied though the fault is over', { cause: error });
      await sleep(RETRY_MILLIS);
    }
  }
  applied = last;
  store.log.release(store.hot.appliedSeq);
  checkReads();
};

const end = last + Number(commits);
while (last < end) {
  await commitNext();
  if (last - applied >= APPLY_EVERY) await applyAll();
}
await applyAll();
say(`done ${last}`);
process.kill(process.pid, 'SIGKILL');

/**
 * Commits through log and hot tier under `ulimit -f` until the hot tier has come to the limit and a batch has failed some times:
 * `limit-child.js <directory>`. Prints `ack <n>` for every commit, `error applying <code>` for every batch that fails, and `done <n>`
 * when everything could still be read then.
 */

import { writeSync } from 'node:fs';
import { expectedRows, openStore, smallCommit, storedRows } from './small-store.ts';

const FAILURES = 3;
const COMMITS_MAX = 300;
const BATCH = 4;

const [, , directory = ''] = process.argv;
const say = (text: string): void => void writeSync(1, `${text}\n`);
// The system's default for a file that would grow too large ends the process.
process.on('SIGXFSZ', () => undefined);

const store = await openStore(directory);
let failures = 0;
let applied = 0;
let last = 0;
while (failures < FAILURES && last < COMMITS_MAX) {
  const batch = Array.from({ length: BATCH }, (_, at) => smallCommit(last + at + 1));
  await store.log.append(batch, 'sync');
  last += BATCH;
  say(`ack ${last}`);
  try {
    await store.hot.apply(Array.from({ length: last - applied }, (_, at) => smallCommit(applied + at + 1)));
    applied = last;
  } catch (error) {
    say(`error applying ${error}`);
    failures += 1;
  }
  if (storedRows(store.hot).join() !== expectedRows(applied).join()) throw new Error(`the rows are not those of commit ${applied}`);
}
say(`done ${last}`);
process.kill(process.pid, 'SIGKILL');

/**
 * A process that commits through log and hot tier until it is killed. Commit n has the name 3n and writes the text n under key n mod 40 of
 * two partitions. Prints `open <n>` when it has recovered, and `ack <n>` for every commit that is acknowledged.
 */
import { writeSync } from 'node:fs';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { encodeCommit, openDataDirectory, openFileLog, openLmdbStore, systemFiles } from '../dist/index.js';

const [, , path, durability] = process.argv;
const say = (text) => writeSync(1, `${text}\n`);
const partitions = [
  { tableId: 1_000, owner: 'alice' },
  { tableId: 1_001, owner: '' },
];

const commit = (n) => {
  const seq = BigInt(n) * 3n;
  const old = n > 40 ? seq - 120n : 0n;
  const row = (at) => ({
    key: `k${n % 40}`,
    seq: seq - 1n + BigInt(at),
    createdSeq: BigInt(n % 40 || 40) * 3n - 1n + BigInt(at),
    replacedSeq: old === 0n ? 0n : old - 1n + BigInt(at),
    deleted: false,
    bytes: Buffer.from(String(n).padEnd(200)),
  });
  return { seq, payload: encodeCommit({ seq, parts: partitions.map((partition, at) => ({ partition, rows: [row(at)] })) }) };
};

const directory = await openDataDirectory(path, systemFiles);
const hot = await openLmdbStore({ path: directory.hotPath });
const log = await openFileLog({
  directory: directory.logPath,
  files: systemFiles,
  timers: systemTimers,
  random: systemRandom,
  startSeq: hot.appliedSeq,
  incarnation: hot.incarnation,
  fileBytes: 131_072,
});

let behind = [];
for await (const entry of log.replay(hot.appliedSeq)) behind.push(entry);
if (behind.length > 0) await hot.apply(behind);
log.release(hot.appliedSeq);
behind = [];
let next = Number(log.lastSeq / 3n) + 1;
say(`open ${next - 1}`);

const applyForever = async () => {
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    const batch = behind.filter(({ seq }) => seq <= log.syncedSeq);
    if (batch.length === 0) continue;
    behind = behind.slice(batch.length);
    await hot.apply(batch);
    log.release(hot.appliedSeq);
  }
};
applyForever();

for (;;) {
  const group = Array.from({ length: 1 + Math.floor(systemRandom.uniform() * 5) }, (_, at) => commit(next + at));
  await log.append(group, durability);
  behind.push(...group);
  next += group.length;
  say(`ack ${next - 1}`);
}

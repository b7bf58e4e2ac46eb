import { Buffer } from 'node:buffer';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PartitionId } from '../contract.ts';
import { MemoryFiles } from '../files/memory-files.fake.ts';
import { type FileCommitLog, openFileLog } from '../log/file-log.ts';
import { applierModule } from './applier-thread.ts';
import { type BatchBounds, CatchUp, catchUp } from './catch-up.ts';
import { GatheredCommits } from './gathered-commits.ts';
import { everything, HotModel } from './hot-model.fake.ts';
import { type LmdbStore, openLmdbStore } from './lmdb-store.ts';
import { rowKeyBytesMax } from './partition-key.ts';

const fileBytes = 16 * 1024;
const partitions: readonly PartitionId[] = [
  { tableId: 1_000, owner: 'bob' },
  { tableId: 1_000, owner: 'alice' },
  { tableId: 0xffff_fffe, owner: '' },
  { tableId: 1_001, owner: '' },
];
/** So that every file of the log is a batch of its own. */
const small: BatchBounds = { firstBytes: 1, risingBytesMax: 1, otherBytesMax: 1 };

let directory: string;
let hot: LmdbStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kalamdb-catch-up-'));
  hot = await openLmdbStore({ path: join(directory, 'hot') });
});
afterEach(async () => {
  await hot.close();
  await rm(directory, { recursive: true, force: true });
});

const openLog = (files: MemoryFiles, startSeq: bigint, follower?: CatchUp): Promise<FileCommitLog> => {
  const { incarnation } = hot;
  return openFileLog({ directory: '/log', files, timers: systemTimers, random: systemRandom, startSeq, incarnation, fileBytes, follower });
};

/** A log of several files, and what it comes to. */
const writeLog = async (keys: (commit: number) => string): Promise<{ files: MemoryFiles; model: HotModel }> => {
  const files = new MemoryFiles();
  const model = new HotModel();
  const log = await openLog(files, 0n);
  for (let commit = 0; commit < 600; commit += 1) {
    const [first, second] = [partitions[commit % 3], partitions[3]];
    const changes = [first, second].filter((partition) => partition !== undefined);
    const entry = model.commit(
      changes.map((partition) => ({ partition, key: keys(commit), deleted: commit % 11 === 0, bytes: commit % 40 })),
    );
    await log.append([entry], 'relaxed');
  }
  await log.close();
  return { files, model };
};

const expectHolds = (model: HotModel): void => {
  const view = hot.snapshot();
  const scope = { partitions, ranges: [{}], keys: ['1', '17'], afterSeqs: [0n, model.seq / 2n] };
  expect(everything(view, scope)).toEqual(everything(model, scope));
  expect(view.appliedSeq).toBe(model.seq);
  view.close();
};

const cases: readonly (readonly [string, BatchBounds | undefined])[] = [
  ['in one batch', undefined],
  ['file by file', small],
  ['in batches of some files', { ...small, otherBytesMax: 3 * fileBytes }],
];

describe.each(cases)('what the log holds beyond the hot tier, applied %s', (_, bounds) => {
  it.each<[string, (commit: number) => string]>([
    ['that rise', (commit) => String(1_000 + commit)],
    ['that come again', (commit) => String((commit * 7) % 60)],
  ])('comes to what its commits come to, with keys %s', async (__, keys) => {
    const { files, model } = await writeLog(keys);
    const follower = new CatchUp(hot, bounds);
    const log = await openLog(files, 0n, follower);
    if (bounds === undefined) expect(hot.appliedSeq).toBe(0n);
    if (bounds === small) expect(hot.appliedSeq).toBeGreaterThan(0n);
    await catchUp(log, hot, follower);
    expectHolds(model);
    await log.close();
  });

  it('comes to that when nobody followed the log', async () => {
    const { files, model } = await writeLog((commit) => String((commit * 13) % 90));
    const log = await openLog(files, 0n);
    await catchUp(log, hot, new CatchUp(hot, bounds));
    expectHolds(model);
    await log.close();
  });
});

describe('a log that is followed', () => {
  it('is taken from the hot tier on only, wherever that stands', async () => {
    const { files, model } = await writeLog((commit) => String((commit * 7) % 60));
    const log = await openLog(files.copy(), 0n);
    const entries = [];
    for await (const entry of log.replay(0n)) entries.push(entry);
    await log.close();
    const there = fc.sample(fc.nat(entries.length), 1)[0] ?? 0;
    if (there > 0) await hot.apply(entries.slice(0, there));
    const follower = new CatchUp(hot, small);
    const again = await openLog(files, hot.appliedSeq, follower);
    await catchUp(again, hot, follower);
    expectHolds(model);
    await again.close();
  });

  it('leaves a prefix in the hot tier that the same log begins with, when it turns out to be damaged', async () => {
    const { files, model } = await writeLog(String);
    const [damaged, name] = [files.copy(), '/log/000000000004.log'];
    damaged.content(name).writeUInt8(1 ^ damaged.content(name).readUInt8(6_000), 6_000);
    const opening = openLog(damaged, 0n, new CatchUp(hot, small));
    await expect(opening).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
    await hot.apply([]);
    expect(hot.appliedSeq).toBeGreaterThan(0n);
    const log = await openLog(files, hot.appliedSeq);
    await catchUp(log, hot);
    expectHolds(model);
    await log.close();
  });
});

describe('a batch that cannot be sent to its end', () => {
  const gather = (model: HotModel, keys: readonly string[]): GatheredCommits => {
    const gathered = new GatheredCommits(hot.appliedSeq);
    const { seq, payload } = model.commit(
      keys.map((key) => ({ partition: { tableId: 1_000, owner: 'bob' }, key, deleted: false, bytes: 5_000 })),
    );
    const head = Buffer.alloc(12);
    head.writeUInt32BE(payload.length);
    head.writeBigUInt64BE(seq, 4);
    gathered.add(Buffer.concat([head, payload, Buffer.alloc(4)]));
    return gathered;
  };
  const many = Array.from({ length: 2_000 }, (_, index) => String(index).padStart(5, '0'));

  it('leaves nothing when packing it fails, and the next one is applied', async () => {
    const failing = gather(new HotModel(), [...many, 'x'.repeat(rowKeyBytesMax + 1)]);
    await expect(hot.applyGathered(failing)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(hot.appliedSeq).toBe(0n);
    const model = new HotModel();
    await hot.applyGathered(gather(model, many));
    expectHolds(model);
  });

  it('leaves nothing when the thread dies over it, and the next one is applied', async () => {
    await hot.close();
    const module = join(directory, 'dying-applier.mjs');
    const code = [
      `import { parentPort, receiveMessageOnPort } from 'node:worker_threads';`,
      `const on = parentPort.on.bind(parentPort);`,
      `const die = ({ port, sent }) => {`,
      `  for (let pieces = 0; pieces < 3; pieces += receiveMessageOnPort(port) === undefined ? 0 : 1) Atomics.wait(sent, 0, 0, 1);`,
      `  process.exit(1);`,
      `};`,
      `parentPort.on = (name, handler) => on(name, (call) => (call.lastSeq === 3_000n ? die(call.pieces) : handler(call)));`,
      `await import(${JSON.stringify(applierModule.href)});`,
    ];
    await writeFile(module, code.join('\n'));
    hot = await openLmdbStore({ path: join(directory, 'hot'), applier: pathToFileURL(module) });
    await expect(hot.applyGathered(gather(new HotModel(), many.slice(0, 1_000)))).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(hot.appliedSeq).toBe(0n);
    const model = new HotModel();
    await hot.applyGathered(gather(model, many));
    expectHolds(model);
  });
});

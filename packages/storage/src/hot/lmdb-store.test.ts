import { Buffer } from 'node:buffer';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '@kalamdb/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitPart, HotSnapshot, PartitionId, RowKey } from '../contract.ts';
import { ManualTimers } from '../files/manual-timers.fake.ts';
import { encodeCommit } from '../log/commit-codec.ts';
import { applierModule, restartsMax } from './applier-thread.ts';
import { type Change, HotModel } from './hot-model.fake.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { mapBytesDefault, openTables } from './lmdb-tables.ts';
import { partitionPrefix, rowKeyBytesMax, seqKey } from './partition-key.ts';
import { readTransactionsMax } from './read-transactions.ts';

const alice: PartitionId = { tableId: 1_000, owner: 'alice' };
const key = (text: string): RowKey => text as RowKey;
const put = (name: string, bytes = 100): Change => ({ partition: alice, key: name, deleted: false, bytes });

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kalamdb-lmdb-'));
  path = join(directory, 'hot');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('views', () => {
  it('share one read transaction until the next apply', async () => {
    const store = await openLmdbStore({ path });
    const model = new HotModel();
    const views = Array.from({ length: 1_000 }, () => store.snapshot());
    expect(store.liveTransactions).toBe(1);
    await store.apply([model.commit([put('a')])]);
    views.push(store.snapshot());
    expect(store.liveTransactions).toBe(2);
    for (const view of views) view.close();
    expect(store.liveTransactions).toBe(1);
    await store.close();
  });

  it('end with SNAPSHOT_TOO_OLD, oldest first, when there are too many, in the middle of an iteration too', async () => {
    const store = await openLmdbStore({ path });
    const model = new HotModel();
    await store.apply([model.commit([put('a'), put('b'), put('c')])]);
    const views: HotSnapshot[] = [];
    const take = async (): Promise<void> => {
      views.push(store.snapshot());
      await store.apply([model.commit([put('a')])]);
    };
    await take();
    const iterator = views[0]?.scan(alice);
    expect(iterator?.next().value?.key).toBe('a');
    while (views.length < readTransactionsMax + 3) await take();
    expect(store.liveTransactions).toBeLessThanOrEqual(readTransactionsMax);
    expect(() => iterator?.next()).toThrowError(expect.objectContaining({ code: 'SNAPSHOT_TOO_OLD' }));
    expect(() => views[1]?.get(alice, key('a'))).toThrowError(expect.objectContaining({ code: 'SNAPSHOT_TOO_OLD' }));
    expect(views.at(-1)?.get(alice, key('a'))?.seq).toBeGreaterThan(0n);
    for (const view of views) view.close();
    expect(store.liveTransactions).toBeLessThanOrEqual(1);
    await store.close();
  });

  it('end with SNAPSHOT_TOO_OLD some time after the store has moved on', async () => {
    const timers = new ManualTimers();
    const store = await openLmdbStore({ path, timers });
    const model = new HotModel();
    const view = store.snapshot();
    timers.fire();
    expect(view.get(alice, key('a'))).toBeUndefined();
    await store.apply([model.commit([put('a')])]);
    expect(view.get(alice, key('a'))).toBeUndefined();
    timers.fire();
    expect(() => view.get(alice, key('a'))).toThrowError(expect.objectContaining({ code: 'SNAPSHOT_TOO_OLD' }));
    view.close();
    await store.close();
  });
});

describe('what lies on the disk', () => {
  it('keeps its incarnation and its applied point', async () => {
    const store = await openLmdbStore({ path });
    const model = new HotModel();
    await store.apply([model.commit([put('a')])]);
    await store.close();
    const again = await openLmdbStore({ path });
    expect(again.incarnation).toMatch(/^[0-9a-f]{32}$/);
    expect([again.incarnation, again.appliedSeq]).toEqual([store.incarnation, model.seq]);
    await again.close();
  });

  it('names a row whose value or place is damaged', async () => {
    const store = await openLmdbStore({ path });
    await store.apply([new HotModel().commit([put('a'), put('b'), put('c')])]);
    // Opening would refuse it: this is damage that happens later.
    const tables = openTables(path, { mapBytes: mapBytesDefault });
    const prefix = partitionPrefix(alice);
    const value = Buffer.from(tables.rows.get(`${prefix}a`) ?? []);
    value.writeUInt8(value.readUInt8(50) ^ 1, 50);
    const moved = tables.rows.get(`${prefix}b`) ?? Buffer.alloc(0);
    tables.root.transactionSync(() => {
      tables.rows.put(`${prefix}a`, value);
      tables.rows.put(`${prefix}d`, moved);
      tables.seqs.put(prefix + seqKey(9n), Buffer.from('b'));
    });
    await tables.root.close();
    const view = store.snapshot();
    const damaged = (text: RegExp): object => expect.objectContaining({ code: 'DAMAGED_DATA', message: expect.stringMatching(text) });
    expect(() => view.get(alice, key('a'))).toThrowError(damaged(/row 61 of table 1000, owner 'alice': it does not match its checksum/));
    expect(() => view.get(alice, key('d'))).toThrowError(damaged(/row 64/));
    expect(() => [...view.scan(alice)]).toThrowError(damaged(/row 61/));
    expect(view.get(alice, key('b'))?.seq).toBe(6n);
    expect(() => [...view.scanBySeq(alice, 8n)]).toThrowError(damaged(/row 62 .*index/));
    view.close();
    await store.close();
    await expect(openLmdbStore({ path })).rejects.toMatchObject({
      code: 'DAMAGED_DATA',
      message: expect.stringMatching(/data\.mdb: page \d+: a row does not match its checksum/),
    });
  });

  it('is refused when its state record is damaged or of a newer format', async () => {
    await (await openLmdbStore({ path })).close();
    const rewrite = async (change: (state: Buffer) => Buffer): Promise<void> => {
      const tables = openTables(path, { mapBytes: mapBytesDefault });
      tables.meta.putSync('state', change(Buffer.from(tables.meta.get('state') ?? [])));
      await tables.root.close();
    };
    await rewrite((state) => Buffer.concat([state.subarray(0, 12), Buffer.from([9]), state.subarray(13)]));
    await expect(openLmdbStore({ path })).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
  });
});

describe('large and many', () => {
  it('rows of 1 MiB come back as they were', async () => {
    const store = await openLmdbStore({ path });
    const model = new HotModel();
    await store.apply([model.commit([put('large', 1024 * 1024), put('small')])]);
    await store.apply([model.commit([put('large', 1024 * 1024 - 1)])]);
    const view = store.snapshot();
    const row = view.get(alice, key('large'));
    expect(row?.bytes.length).toBe(1024 * 1024 - 1);
    expect([...view.scan(alice)].map(({ bytes }) => bytes.length)).toEqual([1024 * 1024 - 1, 100]);
    view.close();
    await store.close();
    await (await openLmdbStore({ path })).close();
  });

  it('refuse a key above the limit with an error, and go on', async () => {
    const store = await openLmdbStore({ path });
    await store.apply([new HotModel().commit([put('k'.repeat(rowKeyBytesMax))])]);
    const tooLong = new HotModel();
    tooLong.seq = 100n;
    await expect(store.apply([tooLong.commit([put('k'.repeat(rowKeyBytesMax + 1))])])).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    const view = store.snapshot();
    expect([...view.scan(alice)].map((row) => row.key.length)).toEqual([rowKeyBytesMax]);
    view.close();
    await store.close();
  });

  it('partitions cost no more to find than few', async () => {
    const partitions = 20_000;
    const store = await openLmdbStore({ path });
    const partition = (at: number): PartitionId => ({ tableId: 1_000, owner: `user ${String(at).padStart(6, '0')}` });
    const rows = (at: number): CommitPart => ({
      partition: partition(at),
      rows: [
        { key: key('a'), seq: BigInt(at) + 1n, createdSeq: BigInt(at) + 1n, replacedSeq: 0n, deleted: false, bytes: Buffer.alloc(20) },
      ],
    });
    const seq = BigInt(partitions);
    await store.apply([{ seq, payload: encodeCommit({ seq, parts: Array.from({ length: partitions }, (_, at) => rows(at)) }) }]);
    const view = store.snapshot();
    const begin = systemClock.elapsed();
    for (let at = 0; at < partitions; at += 20) expect([...view.scan(partition(at))].length).toBe(1);
    expect(systemClock.elapsed() - begin).toBeLessThan(2_000);
    expect([...view.owners(1_000)].length).toBe(partitions);
    view.close();
    await store.close();
  });
});

describe('a map that is too small', () => {
  const mapBytes = 256 * 1024;

  it('grows under open views, as often as it takes, and is large enough when the store is opened with a smaller one', async () => {
    const model = new HotModel();
    const store = await openLmdbStore({ path, mapBytes });
    const early = store.snapshot();
    for (let batch = 0; batch < 30; batch += 1) {
      const view = store.snapshot();
      await store.apply([model.commit([put(`row ${batch}`, 300_000), put(`small ${batch}`)])]);
      expect(view.get(alice, key(`row ${batch}`))).toBeUndefined();
      view.close();
      const after = store.snapshot();
      expect(after.get(alice, key(`row ${batch}`))?.bytes.length).toBe(300_000);
      after.close();
    }
    expect([...early.scan(alice)]).toEqual([]);
    early.close();
    await store.close();
    const again = await openLmdbStore({ path, mapBytes });
    await again.apply([model.commit([put('last', 500_000)])]);
    const view = again.snapshot();
    expect([...view.scan(alice)].length).toBe(61);
    view.close();
    await again.close();
  });
});

describe('a batch of many bytes', () => {
  it('is carried out before what is called while it is being copied, and keeps its bytes', async () => {
    const store = await openLmdbStore({ path });
    const model = new HotModel();
    const large = [model.commit([put('a', 3_000_000), put('b')]), model.commit([put('c', 600_000)])];
    const small = model.commit([put('d')]);
    const first = store.apply(large);
    const second = store.apply([small]);
    const purged = store.purge(alice.tableId, 100);
    expect(await purged).toMatchObject({ rows: 4, more: false });
    await Promise.all([first, second]);
    await store.apply([model.commit([put('a', 2_000_000)])]);
    const view = store.snapshot();
    expect([...view.scan(alice)].map((row) => row.key)).toEqual(['a']);
    const [found, expected] = [view.get(alice, key('a')), model.get(alice, 'a')];
    expect(found?.seq).toBe(expected?.seq);
    expect(Buffer.compare(found?.bytes ?? Buffer.of(), expected?.bytes ?? Buffer.of(1))).toBe(0);
    view.close();
    await store.close();
  });
});

describe('the applier thread', () => {
  const dyingApplier = async (): Promise<URL> => {
    const file = join(directory, 'dying-applier.mjs');
    const code = [
      `import { parentPort } from 'node:worker_threads';`,
      // Ends the thread before the real applier sees the call.
      `const on = parentPort.on.bind(parentPort);`,
      `const dies = (call) => call.kind === 'purge' && call.tableId === 13;`,
      `parentPort.on = (name, handler) => on(name, (call) => (dies(call) ? process.exit(1) : handler(call)));`,
      `await import(${JSON.stringify(applierModule.href)});`,
    ];
    await writeFile(file, code.join('\n'));
    return pathToFileURL(file);
  };

  it('is replaced when it dies: waiting calls are rejected, later ones are carried out', async () => {
    const store = await openLmdbStore({ path, applier: await dyingApplier() });
    const model = new HotModel();
    for (let round = 0; round < restartsMax + 2; round += 1) {
      await store.apply([model.commit([put('a')])]);
      const batch = [model.commit([put('b')])];
      const death = expect(store.purge(13, 1)).rejects.toMatchObject({
        code: 'INTERNAL_ERROR',
        message: expect.stringContaining('applier ended'),
      });
      const waiting = expect(store.apply(batch)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
      await Promise.all([death, waiting]);
      await store.apply(batch);
      expect(store.appliedSeq).toBe(model.seq);
    }
    await store.close();
  });

  it('is given up when it dies again and again', async () => {
    const store = await openLmdbStore({ path, applier: await dyingApplier() });
    for (let death = 0; death <= restartsMax; death += 1)
      await expect(store.purge(13, 1)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    await expect(store.apply([new HotModel().commit([put('a')])])).rejects.toThrowError(/the applier has failed/);
    const view = store.snapshot();
    expect(view.get(alice, key('a'))).toBeUndefined();
    view.close();
    await store.close();
  });

  it('says why it cannot start', async () => {
    await expect(openLmdbStore({ path, applier: pathToFileURL(join(directory, 'missing.mjs')) })).rejects.toThrowError(/missing\.mjs/);
  });
});

it('a removal of flushed rows leaves a newer version that is there beside the entry of an older one', async () => {
  const store = await openLmdbStore({ path });
  const version = (seq: bigint) => ({ key: key('a'), seq, createdSeq: seq, replacedSeq: 0n, deleted: false, bytes: new Uint8Array(1) });
  const commit = (seq: bigint) => ({ seq, payload: encodeCommit({ seq, parts: [{ partition: alice, rows: [version(seq)] }] }) });
  await store.apply([commit(5n)]);
  // Nobody knew of the older version any more: its tombstone had expired in its segment.
  await store.apply([commit(9n)]);
  expect(await store.purgeFlushed({ partition: alice, throughSeq: 5n }, 10)).toMatchObject({ rows: 0, more: false });
  const view = store.snapshot();
  expect([view.get(alice, key('a'))?.seq, ...[...view.scanBySeq(alice, 0n)].map(({ seq }) => seq)]).toEqual([9n, 9n]);
  view.close();
  await store.close();
});

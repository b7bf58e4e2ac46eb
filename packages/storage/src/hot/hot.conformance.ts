import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HotSnapshot, HotStore, KeyRange, PartitionId, RowKey } from '../contract.ts';
import { type Change, everything, HotModel, rowText } from './hot-model.fake.ts';

/** What the suite needs of an implementation: a store, and one opened again on the same data where data outlives the store. */
export interface HotPlace {
  open(): Promise<HotStore>;
  readonly outlives: boolean;
  dispose(): Promise<void>;
}

type MakePlace = () => Promise<HotPlace>;

const alice: PartitionId = { tableId: 1_000, owner: 'alice' };
const partitions: readonly PartitionId[] = [
  alice,
  { tableId: 1_000, owner: '' },
  { tableId: 1_000, owner: 'alice\u0000' },
  { tableId: 1_000, owner: 'alice\u0000\u0001' },
  { tableId: 1_000, owner: 'alicé' },
  { tableId: 1_001, owner: '' },
  { tableId: 0xffff_ffff, owner: '\u{1f600}' },
];
const keys: readonly string[] = ['', '\x00', '\x00\x00', '\x00\xff', 'a', 'a\x00', 'ab', 'b', '\xff', '\xff\xff', 'k'.repeat(1_400)];
const ranges: readonly KeyRange[] = [
  {},
  { reverse: true },
  { from: 'a' as RowKey, before: 'b' as RowKey },
  { from: 'a' as RowKey, before: 'b' as RowKey, reverse: true },
  { from: '\x00\xff' as RowKey },
  { before: '\xff' as RowKey, reverse: true },
  { from: 'b' as RowKey, before: 'a' as RowKey },
  { from: 'b' as RowKey, before: 'a' as RowKey, reverse: true },
  { from: 'a' as RowKey, before: 'a' as RowKey },
];

const put = (partition: PartitionId, key: string, bytes = 10): Change => ({ partition, key, deleted: false, bytes });

const expectSame = (snapshot: HotSnapshot, model: HotModel): void => {
  const scope = { partitions, ranges, keys, afterSeqs: [0n, model.seq / 2n, model.seq] };
  expect(snapshot.appliedSeq).toBe(model.seq);
  expect(everything(snapshot, scope)).toEqual(everything(model, scope));
};

const change: fc.Arbitrary<Change> = fc.record({
  partition: fc.constantFrom(...partitions),
  key: fc.constantFrom(...keys),
  deleted: fc.boolean(),
  bytes: fc.constantFrom(0, 5, 300, 70_000),
  masks: fc.option(fc.record({ segment: fc.nat(0xffff_ffff), row: fc.nat(0x7fff_ffff), deleted: fc.boolean() }), { nil: undefined }),
});

type Step =
  | { readonly kind: 'apply'; readonly commits: readonly (readonly Change[])[] }
  | { readonly kind: 'hold' | 'look' | 'close'; readonly which: number }
  | { readonly kind: 'purge'; readonly rowsMax: number }
  | { readonly kind: 'purge-flushed'; readonly which: number; readonly share: number; readonly rowsMax: number }
  | { readonly kind: 'purge-tombstones'; readonly which: number; readonly share: number }
  | { readonly kind: 'reopen' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('apply' as const),
        commits: fc.array(fc.array(change, { minLength: 1, maxLength: 8 }), { maxLength: 4 }),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('hold' as const, 'look' as const, 'close' as const), which: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('purge' as const), rowsMax: fc.integer({ min: 1, max: 6 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('purge-flushed' as const),
        which: fc.nat(partitions.length - 1),
        share: fc.integer({ min: 0, max: 4 }),
        rowsMax: fc.integer({ min: 1, max: 6 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('purge-tombstones' as const),
        which: fc.nat(partitions.length - 1),
        share: fc.integer({ min: 0, max: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  ),
  { maxLength: 25 },
);

const purgeAll = async (store: HotStore, model: HotModel, rowsMax: number): Promise<void> => {
  const calls = Math.ceil(model.rowCount(alice.tableId) / rowsMax);
  let [more, rows] = [true, 0];
  for (let call = 1; more; call += 1) {
    const purged = await store.purge(alice.tableId, rowsMax);
    more = purged.more;
    rows += purged.rows;
    expect(purged.bytes > 0).toBe(model.rowCount(alice.tableId) > 0);
    expect(call).toBeLessThanOrEqual(Math.max(calls, 1));
  }
  expect(rows).toBe(model.liveRowCount(alice.tableId));
  model.dropTable(alice.tableId);
};

const purgeFlushed = async (store: HotStore, model: HotModel, step: Extract<Step, { kind: 'purge-flushed' }>): Promise<void> => {
  const partition = partitions[step.which] ?? alice;
  const throughSeq = (model.seq * BigInt(step.share)) / 4n;
  const flushed = { partition, throughSeq };
  let [more, rows] = [true, 0];
  while (more) {
    const purged = await store.purgeFlushed(flushed, step.rowsMax);
    more = purged.more;
    rows += purged.rows;
  }
  expect(rows).toBe(model.dropThrough(partition, throughSeq));
};

const purgeTombstones = async (store: HotStore, model: HotModel, step: Extract<Step, { kind: 'purge-tombstones' }>): Promise<void> => {
  const partition = partitions[step.which] ?? alice;
  const throughSeq = (model.seq * BigInt(step.share)) / 4n;
  const old = model.scanBySeq(partition, 0n).filter(({ seq }) => seq <= throughSeq);
  // Rows that are not deleted, and versions that are not there any more, are named too: they stay.
  const named = old.flatMap(({ key, seq, deleted }) =>
    deleted
      ? [{ key, seq }]
      : [
          { key, seq },
          { key, seq: seq - 1n },
        ],
  );
  const { rows, bytes, more } = await store.purgeTombstones({ partition, rows: named });
  expect({ rows, more, freed: bytes > 0 }).toEqual({ rows: 0, more: false, freed: old.some(({ deleted }) => deleted) });
  model.dropTombstones(partition, throughSeq);
};

const runProgram = async (place: HotPlace, program: readonly Step[]): Promise<void> => {
  let store = await place.open();
  const model = new HotModel();
  let held: { snapshot: HotSnapshot; model: HotModel }[] = [];
  for (const step of program) {
    if (step.kind === 'apply') await store.apply(step.commits.map((changes) => model.commit(changes)));
    else if (step.kind === 'hold') held.push({ snapshot: store.snapshot(), model: new HotModel(model) });
    else if (step.kind === 'purge') await purgeAll(store, model, step.rowsMax);
    else if (step.kind === 'purge-flushed') await purgeFlushed(store, model, step);
    else if (step.kind === 'purge-tombstones') await purgeTombstones(store, model, step);
    else if (step.kind === 'reopen') {
      for (const { snapshot } of held) snapshot.close();
      held = [];
      if (place.outlives) {
        await store.close();
        store = await place.open();
      }
    } else {
      const chosen = held[step.which % Math.max(held.length, 1)];
      if (chosen !== undefined) expectSame(chosen.snapshot, chosen.model);
      if (step.kind === 'close' && chosen !== undefined) {
        chosen.snapshot.close();
        held = held.filter((other) => other !== chosen);
      }
    }
    expect(store.appliedSeq).toBe(model.seq);
  }
  for (const { snapshot, model: then } of held) expectSame(snapshot, then);
  for (const { snapshot } of held) snapshot.close();
  const last = store.snapshot();
  expectSame(last, model);
  last.close();
  await store.close();
};

const appliesCommits = (store: () => HotStore): void => {
  it('begins empty', () => {
    const snapshot = store().snapshot();
    expectSame(snapshot, new HotModel());
    snapshot.close();
  });

  it('shows a commit to views taken after it and not to those before', async () => {
    const model = new HotModel();
    await store().apply([model.commit([put(alice, 'a'), put(alice, 'b')])]);
    const before = store().snapshot();
    const then = new HotModel(model);
    const iterator = before.scan(alice);
    expect(iterator.next().value?.key).toBe('a');
    await store().apply([model.commit([{ ...put(alice, 'a'), deleted: true }, put(alice, 'c')])]);
    const after = store().snapshot();
    expect(iterator.next().value?.key).toBe('b');
    expect(iterator.next().done).toBe(true);
    expectSame(before, then);
    expectSame(after, model);
    before.close();
    after.close();
  });

  it('takes the same batch twice', async () => {
    const model = new HotModel();
    const first = model.commit([put(alice, 'a')]);
    const second = model.commit([put(alice, 'a')]);
    await store().apply([first]);
    await store().apply([first, second]);
    await store().apply([first, second]);
    const snapshot = store().snapshot();
    expectSame(snapshot, model);
    snapshot.close();
  });

  it('loads rows beside the log, as often as wanted, under views that do not see them', async () => {
    const model = new HotModel();
    const before = store().snapshot();
    const { payload } = model.commit([put(alice, 'a'), put(alice, 'b')]);
    await store().load(payload);
    await store().load(payload);
    expect(store().appliedSeq).toBe(0n);
    expect([...before.scan(alice)]).toEqual([]);
    before.close();
    const after = store().snapshot();
    expect(after.appliedSeq).toBe(0n);
    expect([...after.scan(alice)].map(({ key }) => key)).toEqual(['a', 'b']);
    expect([...after.scanBySeq(alice, 0n)].map(({ key }) => key)).toEqual(['a', 'b']);
    after.close();
    expect(await store().purge(alice.tableId, 10)).toMatchObject({ rows: 2, more: false });
  });

  it('keeps nothing of a batch that it cannot apply, and goes on', async () => {
    const model = new HotModel();
    await store().apply([model.commit([put(alice, 'a')])]);
    const then = new HotModel(model);
    const good = then.commit([put(alice, 'b')]);
    const torn = { seq: 99n, payload: Buffer.from(good.payload).subarray(0, -1) };
    await expect(store().apply([good, torn])).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
    const snapshot = store().snapshot();
    expectSame(snapshot, model);
    snapshot.close();
    await store().apply([good]);
    expect(store().appliedSeq).toBe(good.seq);
  });
};

const keepsViews = (store: () => HotStore): void => {
  it('takes a row in place of a tombstone that was removed meanwhile', async () => {
    const model = new HotModel();
    await store().apply([model.commit([put(alice, 'a'), { ...put(alice, 'b'), deleted: true }])]);
    const replacing = new HotModel(model).commit([put(alice, 'b')]);
    await store().purgeTombstones({ partition: alice, rows: [{ key: 'b' as RowKey, seq: model.seq }] });
    await store().apply([replacing]);
    model.commit([put(alice, 'b')]);
    const snapshot = store().snapshot();
    expectSame(snapshot, model);
    snapshot.close();
  });

  it('gives copies that outlive what they were read from', async () => {
    const model = new HotModel();
    await store().apply([model.commit([put(alice, 'a', 300), put(alice, 'b', 300)])]);
    const snapshot = store().snapshot();
    const rows = [...snapshot.scan(alice), ...snapshot.scanBySeq(alice, 0n)];
    const got = ['a', 'b'].map((key) => snapshot.get(alice, key as RowKey));
    const texts = rows.map(rowText);
    expect(got.map((row) => (row === undefined ? '' : rowText(row)))).toEqual(texts.slice(0, 2));
    snapshot.close();
    await store().apply([model.commit([put(alice, 'a', 300)])]);
    expect(rows.map(rowText)).toEqual(texts);
  });

  it('survives iterators that nobody finished', async () => {
    const model = new HotModel();
    await store().apply([model.commit(keys.map((key) => put(alice, key)))]);
    for (let round = 0; round < 200; round += 1) {
      const snapshot = store().snapshot();
      snapshot.scan(alice).next();
      snapshot.scanBySeq(alice, 0n).next();
      snapshot.close();
      if (round % 20 === 0) await store().apply([model.commit([put(alice, 'a')])]);
    }
    const snapshot = store().snapshot();
    expectSame(snapshot, model);
    snapshot.close();
  });

  it('refuses to read from a closed view and a closed store', async () => {
    const snapshot = store().snapshot();
    snapshot.close();
    snapshot.close();
    expect(() => snapshot.get(alice, 'a' as RowKey)).toThrowError(/closed/);
    await store().close();
    expect(() => store().snapshot()).toThrowError(/closed/);
    await expect(store().apply([new HotModel().commit([put(alice, 'a')])])).rejects.toThrowError(/closed/);
  });
};

/** The contract of the hot tier, held against an implementation. `makePlace` makes an empty place. */
export function hotConformance(name: string, makePlace: MakePlace, runs: number): void {
  describe(`hot tier in ${name}`, () => {
    let place: HotPlace;
    let current: HotStore;
    const store = (): HotStore => current;
    beforeEach(async () => {
      place = await makePlace();
      current = await place.open();
    });
    afterEach(async () => {
      await current.close();
      await place.dispose();
    });

    appliesCommits(store);
    keepsViews(store);

    it('opens again after a large value was replaced by a small one in the same batch', async () => {
      const own = await makePlace();
      const program: Step[] = [{ kind: 'apply', commits: [[put(alice, 'a', 70_000), put(alice, 'a', 0)]] }, { kind: 'reopen' }];
      await runProgram(own, program).finally(() => own.dispose());
    });

    it('answers like a list of rows whatever is applied, held, purged and reopened', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (program) => {
          const own = await makePlace();
          await runProgram(own, program).finally(() => own.dispose());
        }),
        { numRuns: runs },
      );
    });
  });
}

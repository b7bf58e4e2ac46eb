import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createTable, NO_OPTIONS, type Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import { finishSteps } from '../slices/steps.ts';
import { OwnView } from './own-view.ts';
import { type OwnWrite, OwnWrites, type UndoMark } from './own-writes.ts';

const TABLE: Table = createTable({
  id: 1000,
  version: 1,
  namespace: 'app',
  name: 't',
  kind: 'shared',
  storedColumns: [],
  systemColumns: [],
  options: NO_OPTIONS,
  createdAtMicros: 0n,
  updatedAtMicros: 0n,
});
const PLACES: readonly PartitionId[] = ['alice', 'bob'].map((owner) => ({ tableId: TABLE.id, owner }));
const KEYS = ['a', 'b', 'c', 'd'] as RowKey[];
const ROW_WEIGHT = 200;

const version = (key: RowKey, seq: bigint, deleted = false): RowVersion => ({ key, seq, createdSeq: seq, deleted, cells: [] });
const weigh = (writes: Iterable<OwnWrite | undefined>): number =>
  [...writes].reduce((sum, write) => sum + (write === undefined ? 0 : write.bytes.byteLength + ROW_WEIGHT), 0);

type Step =
  | { readonly kind: 'put'; readonly place: number; readonly key: RowKey; readonly bytes: number; readonly deleted: boolean }
  | { readonly kind: 'mark' | 'undo' | 'forget' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      place: fc.nat(PLACES.length - 1),
      key: fc.constantFrom(...KEYS),
      bytes: fc.nat(50),
      deleted: fc.boolean(),
    }),
    weight: 4,
  },
  { arbitrary: fc.record({ kind: fc.constantFrom('mark' as const, 'undo' as const, 'undo' as const, 'forget' as const) }), weight: 2 },
);

it('going back restores exactly what a mark saw, and every version that is held is counted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const writes = new OwnWrites();
      let model = new Map<string, OwnWrite>();
      let marks: { readonly mark: UndoMark; readonly model: Map<string, OwnWrite> }[] = [];
      let replaced: (OwnWrite | undefined)[] = [];
      let seq = 0n;
      for (const next of steps) {
        if (next.kind === 'put') {
          const partition = PLACES[next.place];
          if (partition === undefined) continue;
          const name = `${next.place}/${next.key}`;
          const bytes = new Uint8Array(next.bytes);
          const write = { table: TABLE, partition, version: version(next.key, ++seq, next.deleted), base: undefined, bytes, upsert: false };
          if (marks.length > 0) replaced.push(model.get(name));
          writes.put(write, marks.length > 0);
          model.set(name, write);
        } else if (next.kind === 'mark') {
          marks.push({ mark: writes.mark(), model: new Map(model) });
        } else if (next.kind === 'forget') {
          marks = [];
          replaced = [];
          writes.forgetUndo();
        } else {
          const last = marks.at(-1);
          if (last === undefined) continue;
          finishSteps(writes.undoTo(last.mark));
          model = new Map(last.model);
          replaced = replaced.slice(0, last.mark.undone);
        }
        expect(writes.rows).toBe(model.size);
        expect(writes.bytes).toBe(weigh(model.values()) + weigh(replaced));
        const inOrder = [...model.values()].filter((write) => !write.version.deleted);
        expect(finishSteps(writes.changes()).changes).toEqual(inOrder.sort((a, b) => (a.version.seq < b.version.seq ? -1 : 1)));
      }
      writes.clear();
      expect([writes.rows, writes.bytes, finishSteps(writes.changes())]).toEqual([0, 0, { changes: [], partitions: [] }]);
    }),
  );
});

/** The rows of a snapshot, as a plain list. */
class ListView implements PartitionView {
  readonly #rows: readonly RowVersion[];

  constructor(rows: readonly RowVersion[]) {
    this.#rows = rows;
  }

  get(key: RowKey): RowVersion | undefined {
    return this.#rows.find((row) => row.key === key);
  }

  scan({ from, before, reverse }: KeyRange = {}): RowVersion[] {
    const rows = this.#rows.filter(({ key }) => (from === undefined || key >= from) && (before === undefined || key < before));
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1) * (reverse === true ? -1 : 1));
  }

  scanBySeq(afterSeq: bigint): RowVersion[] {
    return this.#rows.filter(({ seq }) => seq > afterSeq).sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }
}

it('a view with own writes is the snapshot with their keys replaced, in key order, backwards and by seq', () => {
  const key = fc.constantFrom(...(['a', 'b', 'c', 'd', 'e', 'f', 'g'] as RowKey[]));
  const bound = fc.option(key, { nil: undefined });
  const range = fc.record({ from: bound, before: bound, reverse: fc.boolean() });
  fc.assert(
    fc.property(fc.uniqueArray(key), fc.array(key), range, fc.nat(20), (stored, written, bounds, after) => {
      const snapshot = stored.map((of, index) => version(of, BigInt(index + 1)));
      const own = new OwnWrites();
      const [partition] = PLACES;
      if (partition === undefined) return;
      const merged = new Map(snapshot.map((row) => [row.key, row]));
      for (const [index, of] of written.entries()) {
        const row = version(of, BigInt(10 + index), index % 3 === 0);
        merged.set(of, row);
        own.put({ table: TABLE, partition, version: row, base: undefined, bytes: new Uint8Array(), upsert: false }, false);
      }
      const part = own.partition(partition);
      if (part === undefined) return;
      const view = new OwnView(new ListView(snapshot), part);
      const expected = new ListView([...merged.values()]);
      expect([...view.scan(bounds)]).toEqual(expected.scan(bounds));
      expect([...view.scanBySeq(BigInt(after))]).toEqual(expected.scanBySeq(BigInt(after)));
      for (const of of KEYS) expect(view.get(of)).toEqual(expected.get(of));
    }),
  );
});

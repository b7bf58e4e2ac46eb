import type { PartitionId, RowKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChangeSet, RowChange, RowVersion } from '../contract.ts';
import { type BegunCount, COUNTS_MAX, KeptCounts } from './kept-counts.ts';

const partition: PartitionId = { tableId: 1000, owner: '' };

/** What there is, by key, and the commits that have made it. */
class World {
  readonly rows = new Map<RowKey, RowVersion>();
  seq = 0n;

  get live(): number {
    return [...this.rows.values()].filter(({ deleted }) => !deleted).length;
  }

  commit(writes: readonly { readonly key: number; readonly deleted: boolean }[]): ChangeSet {
    const rows = writes.map(({ key: id, deleted }): RowChange => {
      this.seq += 1n;
      const key = String(id) as RowKey;
      const version: RowVersion = { key, seq: this.seq, createdSeq: this.seq, deleted, cells: [] };
      const change = { ...version, previous: this.rows.get(key) };
      this.rows.set(key, version);
      return change;
    });
    return { seq: this.seq, parts: [{ partition, rows }], bytes: 0 };
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      writes: fc.array(fc.record({ key: fc.nat(9), deleted: fc.boolean() }), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('large commit' as const),
      writes: fc.array(fc.record({ key: fc.nat(9), deleted: fc.boolean() }), { minLength: 1, maxLength: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('begin' as const, 'begin' as const, 'end' as const, 'end' as const, 'forget' as const) }),
  },
);

describe('counts that are kept', () => {
  it('are those of the rows, however commits and counting come in turns, and unknown to who looks at the past', () => {
    let known = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const [world, counts] = [new World(), new KeptCounts()];
        const begun: { readonly end: BegunCount; readonly rows: number }[] = [];
        for (const one of steps) {
          if (one.kind === 'commit' || one.kind === 'large commit') {
            const [before, there] = [world.seq, world.live];
            const change = world.commit(one.writes);
            if (one.kind === 'commit') counts.observe(change);
            else counts.observeLarge(change);
            expect(counts.at(partition, before) ?? there).toBe(there);
          } else if (one.kind === 'begin') begun.push({ end: counts.begin(partition, world.seq), rows: world.live });
          else if (one.kind === 'forget') counts.forgetTable(partition.tableId);
          else {
            const first = begun.shift();
            first?.end(first.rows);
          }
          const count = counts.at(partition, world.seq);
          if (count !== undefined) known += 1;
          expect(count ?? world.live).toBe(world.live);
        }
      }),
    );
    expect(known).toBeGreaterThan(50);
  });

  it('are so many at most: those asked for longest ago go', () => {
    const counts = new KeptCounts();
    const at = (tableId: number): PartitionId => ({ tableId, owner: '' });
    for (let id = 1; id <= COUNTS_MAX; id++) counts.begin(at(id), 0n)(id);
    expect(counts.at(at(1), 0n)).toBe(1);
    counts.begin(at(COUNTS_MAX + 1), 0n)(5);
    expect([1, 2, 3, COUNTS_MAX + 1].map((id) => counts.at(at(id), 0n))).toEqual([1, undefined, 3, 5]);
  });
});

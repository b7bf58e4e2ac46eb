import { compareCells, plainType } from '@kalamdb/protocol';
import type { RowKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RowVersion } from '../../contract.ts';
import { windowDifference } from './window-difference.ts';
import { type PlacedRow, WindowOrder } from './window-order.ts';

const context = {} as ConstructorParameters<typeof WindowOrder>[1];
const order = new WindowOrder(
  { order: [{ evaluate: ({ cells }) => cells[1] ?? null, descending: false, nullsFirst: false, compare: compareCells(plainType('int')) }] },
  context,
);

/** Versions of rows 0 to 9 in the order of the window; a row keeps its object while its version stays. */
const versions = fc.uniqueArray(fc.record({ id: fc.nat(9), rank: fc.option(fc.nat(4)), seq: fc.nat(2) }), { selector: ({ id }) => id });

function placed(rows: readonly { id: number; rank: number | null; seq: number }[], kept: Map<string, PlacedRow>): readonly PlacedRow[] {
  return rows
    .map(({ id, rank, seq }) => {
      const name = `${id} ${rank} ${seq}`;
      const row: RowVersion = {
        key: `k${id}` as RowKey,
        seq: BigInt(seq * 10 + (rank ?? 5)),
        createdSeq: 0n,
        deleted: false,
        cells: [id, rank],
      };
      const found = kept.get(name) ?? order.placed(row);
      kept.set(name, found);
      return found;
    })
    .sort((a, b) => order.compare(a, b));
}

describe('the steps from one state of a window to another', () => {
  test('lead there, deletes first, one for each row that differs, and name the places that rows have then', () => {
    fc.assert(
      fc.property(versions, versions, fc.boolean(), (from, to, shared) => {
        const kept = new Map<string, PlacedRow>();
        const before = placed(from, kept);
        const after = placed(to, shared ? kept : new Map());
        const steps = windowDifference(before, after, order);
        let rows = [...before];
        for (const step of steps) {
          const had = rows.length;
          rows = rows.filter(({ row }) => row.key !== step.row.row.key);
          expect(had - rows.length).toBe(step.kind === 'insert' ? 0 : 1);
          if (step.kind === 'delete') continue;
          if (step.kind === 'update') expect(before).toContain(step.previous);
          rows = rows.toSpliced(step.index, 0, step.row);
          expect(rows.indexOf(step.row)).toBe(step.index);
          expect(rows.length).toBeLessThanOrEqual(Math.max(before.length, after.length));
        }
        const shown = (placedRows: readonly PlacedRow[]): unknown => placedRows.map(({ row: { key, seq } }) => [key, seq]);
        expect(shown(rows)).toEqual(shown(after));
        const same = before.filter(({ row }) => after.some((other) => other.row.key === row.key && other.row.seq === row.seq)).length;
        const changed = before.filter(({ row }) => after.some((other) => other.row.key === row.key && other.row.seq !== row.seq)).length;
        expect(steps.length).toBe(before.length + after.length - 2 * same - changed);
        const firstOther = steps.findIndex(({ kind }) => kind !== 'delete');
        if (firstOther >= 0) expect(steps.slice(firstOther).every(({ kind }) => kind !== 'delete')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

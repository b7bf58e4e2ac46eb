import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KalamError } from '../errors/kalam-error.ts';
import { anyType, nullableCellOf } from './cell.arbitrary.ts';
import type { DataType } from './data-type.ts';
import { rowCodec } from './row-codec.ts';
import { RowSpans, zigzagAt } from './row-spans.ts';

const columnsOf = (types: readonly DataType[]): { readonly id: number; readonly type: DataType }[] =>
  types.map((type, id) => ({ id, type }));

test('the worked value', () => {
  const types: readonly DataType[] = [{ kind: 'int' }, { kind: 'text' }, { kind: 'boolean' }];
  const row = Uint8Array.from([3, 4, 0x0e, 2, 0x68, 0x69]);
  const spans = new RowSpans(3, columnsOf(types), [2, 0, 1]);
  spans.find(row);
  expect([...spans.starts]).toEqual([-1, 2, 4]);
  expect([...spans.ends].slice(1)).toEqual([3, 6]);
  expect(zigzagAt(row, 2)).toBe(7);
});

const anyRow = fc
  .array(anyType, { minLength: 1, maxLength: 12 })
  .chain((types) =>
    fc.record({ types: fc.constant(types), row: fc.tuple(...types.map(nullableCellOf)), chosen: fc.shuffledSubarray([...types.keys()]) }),
  );

test('what is found is the cell: a row of that column alone ends with the same bytes', () => {
  fc.assert(
    fc.property(anyRow, ({ types, row, chosen }) => {
      const bytes = rowCodec(7, columnsOf(types)).encode(row);
      const spans = new RowSpans(7, columnsOf(types), chosen);
      spans.find(bytes);
      for (const [place, index] of chosen.entries()) {
        const [type, cell] = [types[index], row[index]];
        if (type === undefined || cell === undefined) throw new Error('no such column');
        const start = spans.starts[place] ?? -1;
        expect(start < 0).toBe(cell === null);
        if (cell === null) continue;
        const alone = rowCodec(7, columnsOf([type])).encode([cell]);
        const found = bytes.subarray(start, spans.ends[place]);
        expect(alone.subarray(alone.length - found.length)).toEqual(found);
      }
    }),
    { numRuns: 500 },
  );
});

test('a row that ends too early, or is of another version, is damaged', () => {
  fc.assert(
    fc.property(anyRow, fc.nat(), ({ types, row }, cut) => {
      const bytes = rowCodec(7, columnsOf(types)).encode(row);
      const all = new RowSpans(7, columnsOf(types), [...types.keys()]);
      const short = bytes.subarray(0, cut % bytes.length);
      expect(() => all.find(short)).toThrow(KalamError);
      expect(() => new RowSpans(8, columnsOf(types), [0]).find(bytes)).toThrow(KalamError);
    }),
    { numRuns: 300 },
  );
});

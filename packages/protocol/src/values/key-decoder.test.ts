import fc from 'fast-check';
import { expect, it } from 'vitest';
import { anyType, cellOf } from './cell.arbitrary.ts';
import { cellsEqual, compareCells } from './cell-compare.ts';
import type { NonNullCell } from './data-type.ts';
import { encodeKeyCells } from './key-codec.ts';
import { decodeKeyCells, keyStart } from './key-decoder.ts';

const anyKey = fc
  .array(anyType, { minLength: 1, maxLength: 3 })
  .chain((types) => fc.record({ types: fc.constant(types), cells: fc.tuple(...types.map(cellOf)) }));

it('a key comes back as the cells that made it', () => {
  fc.assert(
    fc.property(anyKey, ({ types, cells }) => {
      const found = decodeKeyCells(encodeKeyCells(cells, types), types);
      expect(found).toHaveLength(cells.length);
      for (const [index, cell] of cells.entries()) expect(cellsEqual(plainZero(found?.[index] ?? ''), plainZero(cell))).toBe(true);
    }),
  );
});

it('what is no key is nothing', () => {
  fc.assert(
    fc.property(anyKey, fc.nat(), ({ types, cells }, cut) => {
      const key = encodeKeyCells(cells, types);
      expect(decodeKeyCells(key.slice(0, cut % key.length), types)).toBeUndefined();
      expect(decodeKeyCells(`${key}\0`, types)).toBeUndefined();
    }),
  );
});

it('the start of any bound is true of the keys on both sides of it', () => {
  const bound = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 12 });
  fc.assert(
    fc.property(
      anyType.chain((type) => fc.record({ type: fc.constant(type), cell: cellOf(type), other: cellOf(type) })),
      bound,
      fc.nat(),
      ({ type, cell, other }, text, cut) => {
        const otherKey = encodeKeyCells([other], [type]);
        for (const edge of [text, `${otherKey}${text}`, otherKey.slice(0, cut % (otherKey.length + 1))]) {
          const { least, most } = keyStart(edge, type);
          const compare = compareCells(type);
          if (encodeKeyCells([cell], [type]) >= edge) {
            if (least !== undefined) expect(compare(cell, least)).toBeGreaterThanOrEqual(0);
          } else if (most !== undefined) expect(compare(cell, most)).toBeLessThanOrEqual(0);
        }
      },
    ),
    { numRuns: 500 },
  );
});

function plainZero(cell: NonNullCell): NonNullCell {
  if (typeof cell === 'number') return cell + 0;
  return cell instanceof Float32Array ? cell.map((element) => element + 0) : cell;
}

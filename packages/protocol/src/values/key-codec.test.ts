import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyType, cellOf } from './cell.arbitrary.ts';
import { compareCells } from './cell-compare.ts';
import type { DataType, NonNullCell } from './data-type.ts';
import { encodeKeyCells } from './key-codec.ts';
import { plainType } from './type-name.ts';

const orderOf = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compareRows(types: readonly DataType[], a: readonly NonNullCell[], b: readonly NonNullCell[]): number {
  for (const [i, type] of types.entries()) {
    const order = compareCells(type)(a[i] ?? 0, b[i] ?? 0);
    if (order !== 0) return Math.sign(order);
  }
  return 0;
}

/** A second cell near the first: equal, or of the same beginning, often enough for the later columns to matter. */
const pairOf = (type: DataType): fc.Arbitrary<[NonNullCell, NonNullCell]> =>
  fc.oneof(
    fc.tuple(cellOf(type), cellOf(type)),
    cellOf(type).map((cell): [NonNullCell, NonNullCell] => [cell, cell]),
    fc.tuple(cellOf(type), cellOf(type)).map(([a, b]): [NonNullCell, NonNullCell] => {
      if (typeof a === 'string' && typeof b === 'string' && type.kind !== 'uuid') return [a, a + b];
      if (a instanceof Uint8Array && b instanceof Uint8Array) return [a, Uint8Array.of(...a, ...b)];
      return [a, b];
    }),
  );

const anyKeyPair = fc
  .array(anyType, { minLength: 1, maxLength: 3 })
  .chain((types) =>
    fc.tuple(...types.map(pairOf)).map((pairs) => ({ types, a: pairs.map(([cell]) => cell), b: pairs.map(([, cell]) => cell) })),
  );

function hexOf(key: string): string {
  return Array.from(key, (char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join(' ');
}

describe('order', () => {
  test('keys order as their cells, column after column', () => {
    fc.assert(
      fc.property(anyKeyPair, ({ types, a, b }) => {
        expect(orderOf(encodeKeyCells(a, types), encodeKeyCells(b, types))).toBe(compareRows(types, a, b));
      }),
      { numRuns: 5_000 },
    );
  });

  test.each<[DataType, readonly NonNullCell[]]>([
    [plainType('double'), [-Number.MAX_VALUE, -1e10, -1, -Number.MIN_VALUE, 0, Number.MIN_VALUE, 1, 1.5, Number.MAX_VALUE]],
    [plainType('float'), [-3.4028234663852886e38, -1.5, -1.401298464324817e-45, 0, 1.401298464324817e-45, 1, 3.4028234663852886e38]],
    [plainType('bigint'), [-(2n ** 63n), -(2n ** 32n), -1n, 0n, 1n, 2n ** 32n, 2n ** 63n - 1n]],
    [plainType('int'), [-0x8000_0000, -1, 0, 1, 0x7fff_ffff]],
    [plainType('smallint'), [-0x8000, -1, 0, 255, 256, 0x7fff]],
    [{ kind: 'decimal', precision: 38, scale: 4 }, [-(10n ** 38n) + 1n, -(2n ** 64n), -1n, 0n, 1n, 2n ** 64n, 10n ** 38n - 1n]],
    [{ kind: 'decimal', precision: 18, scale: 0 }, [-(10n ** 18n) + 1n, -1n, 0n, 10n ** 18n - 1n]],
    [
      plainType('text'),
      ['', '\0', '\0\0', '\0a', '\u0001', 'a', 'a\0', 'a\0b', 'a\u0001', 'aa', 'b', 'ÿ', '\ud7ff', '\uffff', '😀', '\u{10ffff}'],
    ],
    [
      plainType('bytes'),
      [Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(0, 0), Uint8Array.of(0, 255), Uint8Array.of(1), Uint8Array.of(255)],
    ],
    [plainType('time'), [0, 2 ** 32 - 1, 2 ** 32, 86_399_999_999]],
    [plainType('boolean'), [false, true]],
  ])('%j: the awkward values rise', (type, cells) => {
    const keys = cells.map((cell) => encodeKeyCells([cell], [type]));
    expect(keys).toStrictEqual([...new Set(keys)].sort(orderOf));
  });

  test('-0 and 0 are one key', () => {
    for (const type of [plainType('double'), plainType('float')]) expect(encodeKeyCells([-0], [type])).toBe(encodeKeyCells([0], [type]));
  });
});

describe('form', () => {
  test('every char is a byte, and the key of the first columns is a prefix', () => {
    fc.assert(
      fc.property(anyKeyPair, ({ types, a }) => {
        const key = encodeKeyCells(a, types);
        expect(Array.from({ length: key.length }, (_, i) => key.charCodeAt(i)).every((unit) => unit <= 0xff)).toBe(true);
        expect(key.startsWith(encodeKeyCells(a.slice(0, 1), types.slice(0, 1)))).toBe(true);
      }),
    );
  });

  test('a text is its UTF-8', () => {
    fc.assert(
      fc.property(cellOf(plainType('text')), (text) => {
        const expected = Array.from(new TextEncoder().encode(String(text)), (byte) => (byte === 0 ? '\0ÿ' : String.fromCharCode(byte)));
        expect(encodeKeyCells([text], [plainType('text')])).toBe(`${expected.join('')}\0\0`);
      }),
    );
  });

  test.each<[string, readonly DataType[], readonly NonNullCell[]]>([
    ['7f ff ff ff', [plainType('int')], [-1]],
    ['61 00 ff 00 00', [plainType('text')], ['a\0']],
    ['01 3f ff ff ff ff ff ff ff', [plainType('boolean'), plainType('double')], [true, -2]],
  ])('%s', (hex, types, cells) => {
    expect(hexOf(encodeKeyCells(cells, types))).toBe(hex);
  });

  test('a cell of another type, half a surrogate pair and a missing cell are refused', () => {
    expect(() => encodeKeyCells([1], [plainType('bigint')])).toThrow('key codec');
    expect(() => encodeKeyCells([1n], [plainType('int')])).toThrow('key codec');
    expect(() => encodeKeyCells(['\ud800'], [plainType('text')])).toThrow('surrogate');
    expect(() => encodeKeyCells(['\udc00x'], [plainType('text')])).toThrow('surrogate');
    expect(() => encodeKeyCells(['x'], [plainType('uuid')])).toThrow('UUID');
    expect(() => encodeKeyCells([], [plainType('int')])).toThrow('0 cells for 1 columns');
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../json/parse-json.ts';
import { anyType, nullableCellOf } from './cell.arbitrary.ts';
import { cellFromJson, cellToJson, jsonCellWriter } from './cell-json.ts';
import type { Cell, DataType } from './data-type.ts';
import { plainType } from './type-name.ts';

test('any cell comes back from its JSON, cell for cell', () => {
  fc.assert(
    fc.property(
      anyType.chain((type) => fc.tuple(fc.constant(type), nullableCellOf(type))),
      ([type, cell]) => {
        // join() writes -0 inside an embedding as 0: JSON has no use for the difference
        const expected = cell instanceof Float32Array ? cell.map((element) => element + 0) : cell;
        expect([cellFromJson(parseJson(cellToJson(cell, type)), type)]).toStrictEqual([expected]);
        expect(jsonCellWriter(type)(cell)).toBe(cellToJson(cell, type));
      },
    ),
    { numRuns: 5_000 },
  );
});

describe('the wire form of each type', () => {
  test.each<[string, DataType, Cell]>([
    ['null', plainType('bytes'), null],
    ['true', plainType('boolean'), true],
    ['-7', plainType('int'), -7],
    ['"42"', plainType('bigint'), 42n],
    ['"9223372036854775807"', plainType('bigint'), 2n ** 63n - 1n],
    ['0.10000000149011612', plainType('float'), Math.fround(0.1)],
    ['0.1', plainType('double'), 0.1],
    ['1e+21', plainType('double'), 1e21],
    ['-0', plainType('double'), -0],
    ['"12.30"', { kind: 'decimal', precision: 10, scale: 2 }, 1230n],
    ['"-0.05"', { kind: 'decimal', precision: 10, scale: 2 }, -5n],
    ['"a\\"b\\\\c\\n\\u0000é😀"', plainType('text'), 'a"b\\c\n\0é😀'],
    ['"{\\"a\\":1}"', plainType('json'), '{"a":1}'],
    ['"0192f0c4-6d3b-7c55-8a17-1f2e3d4c5b6a"', plainType('uuid'), '0192f0c4-6d3b-7c55-8a17-1f2e3d4c5b6a'],
    ['1738317600123456', plainType('timestamp'), 1738317600123456n],
    ['9223372036854775807', plainType('datetime'), 2n ** 63n - 1n],
    ['20119', plainType('date'), 20119],
    ['36000000000', plainType('time'), 36000000000],
    ['[0,255]', plainType('bytes'), Uint8Array.of(0, 255)],
    ['[]', plainType('bytes'), Uint8Array.of()],
    ['[1,0.5]', { kind: 'embedding', dimension: 2 }, Float32Array.of(1, 0.5)],
  ])('%s', (json, type, cell) => {
    expect(cellToJson(cell, type)).toBe(json);
  });
});

describe('reading', () => {
  test('64-bit integers may be numbers, bigints or decimal strings', () => {
    for (const value of [42, 42n, '42']) expect(cellFromJson(value, plainType('bigint'))).toBe(42n);
  });

  test.each<[string, DataType, unknown]>([
    ['number', plainType('boolean'), 1],
    ['string', plainType('int'), '1'],
    ['string', plainType('bigint'), '1.5'],
    ['number', plainType('bigint'), 1.5],
    ['number', plainType('text'), 1],
    ['array', plainType('bytes'), [256]],
    ['array', plainType('bytes'), [0.5]],
    ['array', { kind: 'embedding', dimension: 1 }, ['x']],
    ['object', plainType('json'), {}],
    ['number', { kind: 'decimal', precision: 3, scale: 1 }, 1.5],
  ])('a JSON %s is refused as %j', (shape, type, value) => {
    expect(() => cellFromJson(parseJson(JSON.stringify(value)), type)).toThrow(`a JSON ${shape} is not a value of type`);
  });

  test('values outside the type are refused', () => {
    expect(() => cellFromJson(2 ** 31, plainType('int'))).toThrow('out of range for type INT');
    expect(() => cellFromJson(1e39, plainType('float'))).toThrow('out of range for type FLOAT');
    expect(() => cellFromJson(2n ** 63n, plainType('timestamp'))).toThrow('out of range for type TIMESTAMP');
    expect(() => cellFromJson([1], { kind: 'embedding', dimension: 2 })).toThrow('expected 2, got 1');
    expect(() => cellFromJson('\ud800', plainType('text'))).toThrow('half a surrogate pair');
  });
});

test('a writer refuses a cell of another type rather than write something else', () => {
  expect(() => cellToJson(1, plainType('text'))).toThrow('a number cell in a column of another type');
  expect(() => cellToJson('x', plainType('bytes'))).toThrow('a string cell in a column of another type');
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyType } from './cell.arbitrary.ts';
import { fromWireType, parseTypeName, plainType, sameType, sqlTypeName, type WireType, wireType } from './type-name.ts';

describe('names', () => {
  test.each<[string, readonly number[], string]>([
    ['BOOL', [], 'BOOLEAN'],
    ['int2', [], 'SMALLINT'],
    ['SMALLSERIAL', [], 'SMALLINT'],
    ['INTEGER', [], 'INT'],
    ['MEDIUMINT', [], 'INT'],
    ['INT', [11], 'INT'],
    ['SERIAL', [], 'INT'],
    ['int8', [], 'BIGINT'],
    ['UNSIGNED', [], 'BIGINT'],
    ['REAL', [], 'FLOAT'],
    ['double  precision', [], 'DOUBLE'],
    ['FLOAT64', [], 'DOUBLE'],
    ['DECIMAL', [], 'DECIMAL(38, 10)'],
    ['DECIMAL', [7], 'DECIMAL(7, 0)'],
    ['Numeric', [10, 2], 'DECIMAL(10, 2)'],
    ['VARCHAR', [255], 'TEXT'],
    ['character varying', [10], 'TEXT'],
    ['ARRAY<STRING>', [], 'TEXT'],
    ['MEDIUMTEXT', [], 'TEXT'],
    ['my_string', [], 'TEXT'],
    ['JSONB', [], 'JSON'],
    ['BLOB', [], 'BYTES'],
    ['TIMESTAMP', [6], 'TIMESTAMP'],
    ['TIMESTAMPTZ', [], 'TIMESTAMP'],
    ['EMBEDDING', [384], 'EMBEDDING(384)'],
    [' File ', [], 'FILE'],
  ])('%s %j is %s', (name, parameters, expected) => {
    expect(sqlTypeName(parseTypeName(name, parameters))).toBe(expected);
  });

  test.each<[string, readonly number[], string]>([
    ['TINYINT', [], 'Unsupported data type: TINYINT'],
    ['INT1', [], 'Unsupported data type: INT1'],
    ['constructor', [], 'Unsupported data type: constructor'],
    ['UUID', [4], 'UUID takes no parameters'],
    ['DECIMAL', [39], 'between 1 and 38 (found 39)'],
    ['DECIMAL', [0], 'between 1 and 38 (found 0)'],
    ['DECIMAL', [5, 6], 'between 0 and the precision 5 (found 6)'],
    ['DECIMAL', [5, -1], 'between 0 and the precision 5 (found -1)'],
    ['DECIMAL', [1, 2, 3], 'a precision and a scale'],
    ['EMBEDDING', [], 'EMBEDDING type requires exactly one dimension parameter, e.g., EMBEDDING(384)'],
    ['EMBEDDING', [1, 2], 'requires exactly one dimension parameter'],
    ['EMBEDDING', [1.5], "must be a positive integer, got '1.5'"],
    ['EMBEDDING', [0], 'must be at least 1'],
    ['EMBEDDING', [8193], 'must be at most 8192 (found 8193)'],
  ])('%s %j is refused', (name, parameters, message) => {
    expect(() => parseTypeName(name, parameters)).toThrow(message);
  });
});

test('SQL names and wire names read back to the same type', () => {
  fc.assert(
    fc.property(anyType, anyType, (type, other) => {
      const [, name = '', parameters = ''] = /^([A-Z]+)(?:\((.*)\))?$/.exec(sqlTypeName(type)) ?? [];
      expect(sameType(parseTypeName(name, parameters === '' ? [] : parameters.split(',').map(Number)), type)).toBe(true);
      expect(sameType(fromWireType(JSON.parse(JSON.stringify(wireType(type))) as WireType), type)).toBe(true);
      expect(sameType(type, other)).toBe(sqlTypeName(type) === sqlTypeName(other));
    }),
  );
});

test('wire spellings', () => {
  expect(wireType(plainType('datetime'))).toBe('DateTime');
  expect(wireType({ kind: 'decimal', precision: 10, scale: 2 })).toStrictEqual({ Decimal: { precision: 10, scale: 2 } });
  expect(() => fromWireType('Tuple')).toThrow('Unsupported data type: Tuple');
});

test('plain types are singletons that nobody can change', () => {
  expect(plainType('int')).toBe(parseTypeName('integer', []));
  expect(Object.isFrozen(plainType('int'))).toBe(true);
});

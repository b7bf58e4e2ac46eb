import { expect, test } from 'vitest';
import { hashLine, isExpected, type ResultCell, resultValues } from './result-text.ts';

test.each<[ResultCell, string, string]>([
  [null, 'I', 'NULL'],
  [null, 'R', 'NULL'],
  [null, 'T', 'NULL'],
  [3, 'I', '3'],
  [-3.9, 'I', '-3'],
  [0.5, 'I', '0'],
  ['9223372036854775807', 'I', '9223372036854775807'],
  ['-12.5', 'I', '-12'],
  ['true', 'I', '0'],
  [12n, 'I', '12'],
  [true, 'I', '1'],
  [false, 'T', '0'],
  [1.25, 'R', '1.250'],
  ['5', 'R', '5.000'],
  [-9_223_372_036_854_776_000, 'R', '-9223372036854775808.000'],
  ['', 'T', '(empty)'],
  ['a\nü', 'T', 'a@@'],
  [7, 'T', '7'],
])('%s as %s is %s', (cell, type, text) => {
  expect(resultValues([[cell]], type, 'nosort')).toEqual([text]);
});

test('results are compared as they came, by rows, or as one list of values', () => {
  const rows = [
    ['b', 10],
    ['b', 9],
    ['a', 2],
  ];
  expect(resultValues(rows, 'TI', 'nosort')).toEqual(['b', '10', 'b', '9', 'a', '2']);
  expect(resultValues(rows, 'TI', 'rowsort')).toEqual(['a', '2', 'b', '10', 'b', '9']);
  expect(resultValues(rows, 'TI', 'valuesort')).toEqual(['10', '2', '9', 'a', 'b', 'b']);
});

test('a long result is its number of values and a hash', () => {
  // printf '1\n2\n3\n' | md5sum
  expect(hashLine(['1', '2', '3'])).toBe('3 values hashing to c0710d6b4f15dfa88f600b0e6b624077');
  expect(isExpected(['1', '2', '3'], [hashLine(['1', '2', '3'])])).toBe(true);
  expect(isExpected(['1', '3', '2'], [hashLine(['1', '2', '3'])])).toBe(false);
  expect(isExpected(['1', '2'], ['1', '2'])).toBe(true);
  expect(isExpected(['1', '2'], ['1'])).toBe(false);
  expect(isExpected([], [])).toBe(true);
});

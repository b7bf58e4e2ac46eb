import { expect, test } from 'vitest';
import { isFor, parseTestFile, TestFormatError } from './test-records.ts';

test('records are read with their lines, conditions and comments', () => {
  const text = `# a comment
hash-threshold 8

statement ok
CREATE TABLE t1(a INTEGER,
  b TEXT)

skipif mysql # not there
onlyif sqlite
statement error
DROP TABLE
# no comment inside of a record

query IT rowsort label-1
SELECT a, b
FROM t1
----
1
x

query I valuesort
SELECT 1

onlyif mssql
halt
`.replaceAll('\n', '\r\n');
  expect(parseTestFile(text)).toEqual([
    { kind: 'hash-threshold', valuesMax: 8, line: 2, conditions: [] },
    { kind: 'statement', expected: 'ok', sql: 'CREATE TABLE t1(a INTEGER,\n  b TEXT)', line: 4, conditions: [] },
    {
      kind: 'statement',
      expected: 'error',
      sql: 'DROP TABLE\n# no comment inside of a record',
      line: 10,
      conditions: [
        { rule: 'skipif', database: 'mysql' },
        { rule: 'onlyif', database: 'sqlite' },
      ],
    },
    {
      kind: 'query',
      types: 'IT',
      sort: 'rowsort',
      label: 'label-1',
      sql: 'SELECT a, b\nFROM t1',
      expected: ['1', 'x'],
      line: 14,
      conditions: [],
    },
    { kind: 'query', types: 'I', sort: 'valuesort', label: undefined, sql: 'SELECT 1', expected: undefined, line: 21, conditions: [] },
    { kind: 'halt', line: 25, conditions: [{ rule: 'onlyif', database: 'mssql' }] },
  ]);
});

test('an empty result is no line after the dashes', () => {
  expect(parseTestFile('query I nosort\nSELECT 1 WHERE false\n----\n')).toMatchObject([{ expected: [] }]);
});

test.each([
  ['nonsense', 'line 1'],
  ['\n\nstatement maybe\nSELECT 1', 'line 3'],
  ['query X nosort\nSELECT 1', 'line 1'],
  ['query I upside\nSELECT 1', 'line 1'],
  ['statement ok\n', 'line 1'],
  ['hash-threshold many', 'line 1'],
])('%j is not in the format', (text, place) => {
  expect(() => parseTestFile(text)).toThrow(TestFormatError);
  expect(() => parseTestFile(text)).toThrow(place);
});

test('conditions choose by database', () => {
  const skip = [{ rule: 'skipif', database: 'mysql' }] as const;
  const only = [{ rule: 'onlyif', database: 'mysql' }] as const;
  expect([isFor([], 'mysql'), isFor(skip, 'mysql'), isFor(only, 'mysql')]).toEqual([true, false, true]);
  expect([isFor(skip, 'postgresql'), isFor(only, 'postgresql'), isFor([...skip, ...only], 'postgresql')]).toEqual([true, false, false]);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { numberLiteral, quotedName, stringValue } from './literal-value.ts';
import { Scanner } from './scanner.ts';

function readString(text: string): string | undefined {
  const scanner = new Scanner(text);
  expect(scanner.next()).toBe('string');
  expect(scanner.end).toBe(text.length);
  return stringValue(text, scanner.start, scanner.end, scanner.form);
}

test.each([
  ["'abc'", 'abc'],
  ["''", ''],
  ["'it''s'", "it's"],
  ["''''", "'"],
  ["'a'\n'b'", 'ab'],
  ["'a'''  \n\r '''b'", "a''b"],
  [String.raw`'a\n'`, String.raw`a\n`],
  [String.raw`E'a\n\t\\\'\q'`, "a\n\t\\'q"],
  [String.raw`E'\x41\101\u00e9\U0001F600'`, 'AAé\u{1F600}'],
  [String.raw`E'\ud83d\ude00'`, '\u{1F600}'],
  ["E'a'\n'\\n''b'", "a\n'b"],
  [String.raw`E'\u12'`, undefined],
  [String.raw`E'\ud800'`, undefined],
  [String.raw`E'\000'`, undefined],
  [String.raw`E'\xe9'`, undefined],
  ["$$it's$$", "it's"],
  ['$tag$ $$ $tag$', ' $$ '],
])('the value of %s', (text, expected) => {
  expect(readString(text)).toBe(expected);
});

test('a quoted name', () => {
  expect(quotedName('x "a""b"', 2, 8)).toBe('a"b');
});

test.each([
  ['5', 'integer', '5'],
  ['007', 'integer', '7'],
  ['000', 'integer', '0'],
  ['99999999999999999999', 'integer', '99999999999999999999'],
  ['1_000', 'integer', '1000'],
  ['0x1F', 'integer', '31'],
  ['0b11', 'integer', '3'],
  ['0o17', 'integer', '15'],
  ['1.50', 'decimal', '1.50'],
  ['.5', 'decimal', '0.5'],
  ['1.', 'decimal', '1.0'],
  ['1.e5', 'decimal', '1.0e5'],
  ['1E5', 'decimal', '1E5'],
])('the number %s', (text, kind, value) => {
  expect(numberLiteral(text)).toEqual({ kind, text: value });
});

test('every text survives being quoted', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(readString(`'${value.replaceAll("'", "''")}'`)).toBe(value);
      expect(readString(`E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`)).toBe(value);
    }),
  );
});

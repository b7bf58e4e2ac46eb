import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isWordAt, Scanner, wordHash } from './scanner.ts';

function tokens(text: string): string[] {
  const scanner = new Scanner(text);
  const found: string[] = [];
  while (scanner.next() !== 'end') found.push(`${scanner.kind}:${text.slice(scanner.start, scanner.end)}`);
  return found;
}

describe('tokens', () => {
  test.each([
    ['select Name_1', ['word:select', 'word:Name_1']],
    ['"a""b" "c d"', ['quoted:"a""b"', 'quoted:"c d"']],
    ["'it''s' ''", ["string:'it''s'", "string:''"]],
    [String.raw`E'a\'b' e'\\'`, [String.raw`string:E'a\'b'`, String.raw`string:e'\\'`]],
    ["'a' \t\n 'b'", ["string:'a' \t\n 'b'"]],
    ["'a' -- apart\n 'b'", ["string:'a'", "string:'b'"]],
    ["'a' 'b'", ["string:'a'", "string:'b'"]],
    ["'a' /* \n */ 'b'", ["string:'a'", "string:'b'"]],
    ["$$a'b$$ $x$ $$ $x$", ["string:$$a'b$$", 'string:$x$ $$ $x$']],
    [
      "X'00' b'1' N'x' U&'\\0061' u&\"x\"",
      ["special-string:X'00'", "special-string:b'1'", "special-string:N'x'", "special-string:U&'\\0061'", 'special-string:u&"x"'],
    ],
    [
      '1 1.5 .5 1. 1e5 1.5E-3 0x1F 1_000',
      ['number:1', 'number:1.5', 'number:.5', 'number:1.', 'number:1e5', 'number:1.5E-3', 'number:0x1F', 'number:1_000'],
    ],
    ['1..2', ['number:1', 'symbol:..', 'number:2']],
    ['5OR $1a 1e', ['invalid:5OR', 'invalid:$1a', 'invalid:1e']],
    ['$1 $23', ['parameter:$1', 'parameter:$23']],
    ["a->'b'->>0", ['word:a', 'operator:->', "string:'b'", 'operator:->>', 'number:0']],
    ['a=-5', ['word:a', 'operator:=', 'operator:-', 'number:5']],
    ['a||-5', ['word:a', 'operator:||-', 'number:5']],
    ['a ? b', ['word:a', 'operator:?', 'word:b']],
    ['a<=b<>c!=d', ['word:a', 'operator:<=', 'word:b', 'operator:<>', 'word:c', 'operator:!=', 'word:d']],
    ['a::int[1]', ['word:a', 'symbol:::', 'word:int', 'symbol:[', 'number:1', 'symbol:]']],
    ['a/*x/*y*/z*/b--c\nd', ['word:a', 'word:b', 'word:d']],
    ['a*/**/b', ['word:a', 'operator:*', 'word:b']],
    ['1--2', ['number:1']],
    ['größe été', ['word:größe', 'word:été']],
    ['a$1 $ {', ['word:a$1', 'invalid:$', 'invalid:{']],
    ['   ', []],
  ])('%s', (text, expected) => {
    expect(tokens(text)).toEqual(expected);
  });

  test.each([
    ["select 'x", 'UNTERMINATED_STRING', 7],
    ['select "x', 'UNTERMINATED_STRING', 7],
    [String.raw`select E'x\'`, 'UNTERMINATED_STRING', 7],
    ['select $a$ x', 'UNTERMINATED_STRING', 7],
    ['select /* /* */', 'UNTERMINATED_COMMENT', 7],
  ])('%s is %s', (text, code, offset) => {
    expect(() => tokens(text)).toThrow(expect.objectContaining({ code, position: expect.objectContaining({ offset }) }));
  });

  test('a word carries the hash of its lower-case form', () => {
    const scanner = new Scanner('SeLeCt');
    scanner.next();
    expect(scanner.hash).toBe(wordHash('select'));
    expect(isWordAt('SeLeCt', 0, 'select')).toBe(true);
    expect(isWordAt('SeLeCt', 0, 'insert')).toBe(false);
  });

  test('tokens never overlap, never go back and lie in the text, whatever it is', () => {
    const piece = fc.constantFrom(
      "'",
      '"',
      '$',
      '$$',
      '$a$',
      'E',
      'U&',
      '-',
      '--',
      '/*',
      '*/',
      '\n',
      ' ',
      '1',
      '.',
      'e',
      'x',
      '_',
      '\\',
      ':',
      '[',
      ')',
      '+',
      '@',
      'é',
      '\u{1F600}',
      '\ud800',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('');
        const scanner = new Scanner(text);
        let end = 0;
        try {
          while (scanner.next() !== 'end') {
            expect(scanner.start).toBeGreaterThanOrEqual(end);
            expect(scanner.end).toBeGreaterThan(scanner.start);
            end = scanner.end;
          }
          expect(scanner.end).toBe(text.length);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^UNTERMINATED_/) });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundSql } from './bound-sql.ts';

describe('parameters written into a statement', () => {
  it('stand where placeholders are, and nowhere else', () => {
    const cases: readonly (readonly [string, readonly unknown[], string])[] = [
      ["a = $1 AND b = '$1'", ["it's"], "a = 'it''s' AND b = '$1'"],
      ['a -$1', [-1], 'a - -1'],
      ['a IN($2,$1)', [1n, null], 'a IN(NULL,1)'],
      [`"$1" = $1 -- $1 stays\n AND b = $1 /* $1 */`, [true], `"$1" = TRUE -- $1 stays\n AND b = TRUE /* $1 */`],
      [String.raw`a = E'\'$1' AND b = $1`, [1], String.raw`a = E'\'$1' AND b = 1`],
      ['a = $$ $1 $$ AND b = $x$ $$ $1 $x$ AND c = $1', [1], 'a = $$ $1 $$ AND b = $x$ $$ $1 $x$ AND c = 1'],
      ['a = $x$ $1 $X$ $1 $x$ AND b = $ä$ $1 $ä$ AND c = $1', [1], 'a = $x$ $1 $X$ $1 $x$ AND b = $ä$ $1 $ä$ AND c = 1'],
      ['a = $1 -- \u2028 $1\r AND b = $1', [1], 'a = 1 -- \u2028 $1\r AND b = 1'],
      ['a = $10', Array.from({ length: 10 }, (_none, index) => index), 'a = 9'],
      ['a = $1', [], 'a = $1'],
    ];
    for (const [sql, params, bound] of cases) expect(boundSql(sql, params)).toBe(bound);
  });

  it('a text cannot leave its quotes, wherever it is put', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('\0')),
        (text) => {
          const bound = boundSql('a = $1 AND b = 2', [text]);
          const literal = /^a = '((?:[^']|'')*)' AND b = 2$/.exec(bound)?.[1];
          expect(literal?.replaceAll("''", "'")).toBe(text);
        },
      ),
    );
  });

  it('refuses what it cannot place', () => {
    expect(() => boundSql('a = $2', [1])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => boundSql('a = $0', [1])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => boundSql('a /* /* $1 */ $1 */', [1])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

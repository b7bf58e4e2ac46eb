import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Scanner } from '../lexer/scanner.ts';
import { splitStatements } from './split.ts';

const texts = (sql: string): string[] => splitStatements(sql).map((piece) => piece.text);

describe('splitStatements', () => {
  test.each([
    ['select 1', ['select 1']],
    ['select 1;', ['select 1']],
    [' ; ;; -- nothing\n /* ; */ ;', []],
    ['', []],
    ['insert into t values (\'a;b\'); select ";" from t', ["insert into t values ('a;b')", 'select ";" from t']],
    ['select $$;$$; select 2 -- ;', ['select $$;$$', 'select 2']],
    ['/* a; */ select 1 /* b; */; -- c;\nselect 2', ['select 1', 'select 2']],
    ['SELECT 1; SELECT 5OR 2', ['SELECT 1', 'SELECT 5OR 2']],
  ])('%s', (sql, expected) => {
    expect(texts(sql)).toEqual(expected);
  });

  test('offsets point into the batch', () => {
    for (const { text, offset } of splitStatements("  select 'é'; \n select 2 ;")) {
      expect("  select 'é'; \n select 2 ;".slice(offset, offset + text.length)).toBe(text);
    }
  });

  test.each([
    ["select 'x; select 2", 'UNTERMINATED_STRING', 7],
    ['select 1; /* select 2', 'UNTERMINATED_COMMENT', 10],
    ['select \0', 'SYNTAX_ERROR', 7],
    ["select '\ud800'", 'SYNTAX_ERROR', 8],
  ])('%j is refused', (sql, code, offset) => {
    expect(() => splitStatements(sql)).toThrow(expect.objectContaining({ code, position: expect.objectContaining({ offset }) }));
  });

  test('pieces cover the batch: between them are only separators, white space and comments', () => {
    const piece = fc.constantFrom('select 1', ';', "'a;b'", '"c;d"', ' ', '\n', '-- x;\n', '/* ; */', '$$;$$', "E'\\';'", '(', ')', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (parts) => {
        const sql = parts.join(' ');
        let end = 0;
        let between = '';
        for (const { text, offset } of splitStatements(sql)) {
          expect(sql.slice(offset, offset + text.length)).toBe(text);
          between += sql.slice(end, offset);
          end = offset + text.length;
        }
        const scanner = new Scanner(between + sql.slice(end));
        while (scanner.next() !== 'end') expect(scanner.text.slice(scanner.start, scanner.end)).toBe(';');
      }),
    );
  });
});

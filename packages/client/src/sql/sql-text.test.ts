import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deleteText, executeAsText, insertText, quoteName, quoteTable, sqlLiteral, updateText } from './sql-text.ts';

/** Reads one quoted token the way SQL does and returns what it holds and what follows. */
function readQuoted(text: string, quote: string): { value: string; rest: string } {
  let value = '';
  let at = 1;
  for (; at < text.length; at++) {
    if (text[at] !== quote) value += text[at];
    else if (text[at + 1] === quote) value += text[at++];
    else break;
  }
  return { value, rest: text.slice(at + 1) };
}

const sqlString = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'));

describe('SQL text', () => {
  it('no text can leave its quotes', () => {
    fc.assert(
      fc.property(fc.oneof(sqlString, fc.constantFrom("'; DROP TABLE t; --", "''", "\\'")), (text) => {
        expect(readQuoted(sqlLiteral(text), "'")).toEqual({ value: text, rest: '' });
      }),
    );
  });

  it('no name can leave its quotes', () => {
    fc.assert(
      fc.property(
        sqlString.filter((text) => text !== '' && !text.startsWith('"')),
        (name) => {
          expect(readQuoted(quoteName(name), '"')).toEqual({ value: name, rest: '' });
        },
      ),
    );
  });

  it('words the conveniences', () => {
    const table = quoteTable('app.items', undefined);
    expect(insertText(table, { id: 9007199254740993n, name: "it's", tags: ['a'], gone: undefined, none: null })).toBe(
      `INSERT INTO "app"."items" ("id", "name", "tags", "none") VALUES (9007199254740993, 'it''s', '["a"]', NULL)`,
    );
    expect(updateText(table, '7', { ok: true, at: new Date(0) })).toBe(
      `UPDATE "app"."items" SET "ok" = TRUE, "at" = '1970-01-01T00:00:00.000Z' WHERE "id" = '7'`,
    );
    expect(deleteText(quoteTable('items', 'app'), 7)).toBe('DELETE FROM "app"."items" WHERE "id" = 7');
    expect(executeAsText('SELECT 1 ; ', "o'neil")).toBe("EXECUTE AS USER 'o''neil' (SELECT 1)");
    expect(executeAsText('SELECT 1 -- one', 'bob')).toBe("EXECUTE AS USER 'bob' (SELECT 1 -- one\n)");
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, () => 1, new Uint8Array(1), 'nul\0'])('refuses %s', (value) => {
    expect(() => sqlLiteral(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

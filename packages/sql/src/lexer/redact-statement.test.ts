import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redactStatement } from './redact-statement.ts';

describe('a statement in the log', () => {
  test.each([
    ["SELECT name FROM app.users WHERE email = 'a@b.example' AND age > 17", 'SELECT name FROM app.users WHERE email = ? AND age > ?'],
    ["CREATE USER 'alice' WITH PASSWORD 'hunter2' ROLE user", 'CREATE USER ? WITH PASSWORD ? ROLE user'],
    ['ALTER USER alice SET PASSWORD "hunter2"', 'ALTER USER alice SET PASSWORD ?'],
    ['ALTER USER alice SET PASSWORD hunter2', 'ALTER USER alice SET PASSWORD ?'],
    ['UPDATE t SET a = $1, b = -2.5e7 WHERE id = 0x1f -- a note', 'UPDATE t SET a = $1, b = -? WHERE id = ?'],
    ["SELECT E'it\\'s hunter2', $tag$hunter2 $$ hunter2$tag$, U&'hunter2', x'ff'", 'SELECT ?, ?, ?, ?'],
    ['SELECT /* outer /* hunter2 */ hunter2 */ 1', 'SELECT ?'],
    ["SELECT 'it''s hunter2", 'SELECT ?'],
  ])('%s', (sql, shown) => {
    expect(redactStatement(sql)).toBe(shown);
  });

  test('never shows what stands in a literal', () => {
    const secret = 'zq7Secret9';
    const around = fc.string({ unit: fc.constantFrom('a', ' ', "'", '"', '\\', '$', '-', '/', '*', '\n', '(', ',', '1') });
    const literal = fc.tuple(around, around, fc.constantFrom('plain', 'escape', 'dollar', 'comment')).map(([left, right, kind]) => {
      const text = `${left}${secret}${right}`;
      if (kind === 'plain') return `'${text.replaceAll("'", "''")}'`;
      if (kind === 'escape') return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
      if (kind === 'dollar') return `$q$${text.replaceAll('$', '')}$q$`;
      return `/*${text.replaceAll('*', '').replaceAll('/', '')}*/`;
    });
    fc.assert(
      fc.property(fc.array(literal, { maxLength: 4 }), fc.constantFrom(' ', ', ', '\n', ' = '), (literals, between) => {
        expect(redactStatement(`SELECT a FROM "t x" WHERE ${literals.join(between)} ORDER BY b`)).not.toContain(secret);
      }),
    );
  });

  test('long statements are cut', () => {
    expect(redactStatement(`SELECT ${'name, '.repeat(1_000_000)}`).length).toBeLessThan(1_100);
  });
});

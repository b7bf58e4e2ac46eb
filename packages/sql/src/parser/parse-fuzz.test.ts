import { KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { liftLiterals } from '../lexer/lift.ts';
import { classifyStatement } from '../statement/classify.ts';
import { splitStatements } from '../statement/split.ts';
import { initParser, parseStatement } from './parse.ts';

beforeAll(() => initParser());

const WORDS = [
  'SELECT',
  'INSERT',
  'INTO',
  'VALUES',
  'UPDATE',
  'SET',
  'DELETE',
  'FROM',
  'WHERE',
  'GROUP',
  'BY',
  'ORDER',
  'LIMIT',
  'AND',
  'NOT',
  'NULL',
  'IN',
  'CASE',
  'END',
  'AS',
  'CAST',
  'CREATE',
  'DROP',
  'USER',
  'SHARED',
  'STREAM',
  'TABLE',
  'IF',
  'EXISTS',
  'NAMESPACE',
  'SHOW',
  'TABLES',
  'USE',
  'DESCRIBE',
  'HISTORY',
  'WITH',
  'PASSWORD',
  'ROLE',
  'EXECUTE',
  'PRIMARY',
  'KEY',
  'DEFAULT',
  'UNIQUE',
  'GENERATED',
  'ALWAYS',
  'IDENTITY',
  'LOCATION',
  'REFERENCE',
  'FLUSH',
  'POLICY',
  'ROWS',
  'INTERVAL',
  'TTL_SECONDS',
  'ON',
  'CONFLICT',
  'DO',
  'NOTHING',
  'RETURNING',
  'EXTENDED',
  'TYPE',
  'INT',
  'TEXT',
  'DECIMAL',
  'EMBEDDING',
  'DOUBLE',
  'PRECISION',
  'id',
  'a',
  't',
  'ns',
  '"Q x"',
  '_seq',
];
const SIGNS = [
  '(',
  ')',
  ',',
  '.',
  ';',
  '=',
  '*',
  '-',
  '->',
  '->>',
  '?',
  '::',
  '[',
  ']',
  '<',
  '>',
  '||',
  '$1',
  '$$',
  '1',
  '0',
  '1.5',
  '99999999999',
  "'x'",
  "''",
  "'7d'",
  "'",
  '"',
  '--',
  '\n',
  '/*',
  '*/',
  '\\',
  "E'\\",
  '\u{1F600}',
  '\0',
  '\ud800',
];
const STARTS = [
  'SELECT',
  'INSERT INTO t',
  'INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = excluded.a WHERE t.a > 1 RETURNING *',
  'UPDATE t SET a =',
  'DELETE FROM t WHERE',
  'CREATE TABLE t (',
  'CREATE STREAM TABLE t (id INT)',
  'CREATE USER u WITH',
  "EXECUTE AS USER 'u' (",
  'DROP',
  'SHOW',
  'DESCRIBE TABLE',
  '',
];

function attempt(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof KalamError) || error.code === 'INTERNAL_ERROR') throw error;
    expect(error.message).not.toMatch(/\{\w+\}|undefined/);
  }
}

test('whatever the text, only typed errors are thrown, and soon', () => {
  const soup = fc.tuple(
    fc.constantFrom(...STARTS),
    fc.array(fc.oneof(fc.constantFrom(...WORDS), fc.constantFrom(...SIGNS)), { maxLength: 25 }),
    fc.constantFrom(' ', ''),
  );
  fc.assert(
    fc.property(soup, ([start, tokens, gap]) => {
      const text = `${start} ${tokens.join(gap)}`;
      attempt(() => splitStatements(text));
      attempt(() => classifyStatement(text));
      attempt(() => liftLiterals(text, 1));
      attempt(() => parseStatement(text));
    }),
    { numRuns: 3000, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  );
});

test.each([
  ['parentheses', (n: number) => `SELECT ${'('.repeat(n)}1${')'.repeat(n)}`],
  ['operators', (n: number) => `SELECT ${'1+'.repeat(n)}1`],
  ['NOT', (n: number) => `SELECT ${'NOT '.repeat(n)}true`],
  ['signs', (n: number) => `SELECT ${'- '.repeat(n)}a`],
  ['casts', (n: number) => `SELECT a${'::int'.repeat(n)}`],
  ['tests', (n: number) => `SELECT a${' IS NULL'.repeat(n)}`],
  ['calls', (n: number) => `SELECT ${'f('.repeat(n)}1${')'.repeat(n)}`],
  ['CASE', (n: number) => `SELECT ${'CASE WHEN a THEN '.repeat(n)}1${' END'.repeat(n)}`],
  ['subqueries', (n: number) => `SELECT ${'(SELECT '.repeat(n)}1${')'.repeat(n)}`],
  ['UNION', (n: number) => `SELECT 1${' UNION SELECT 1'.repeat(n)}`],
  ['JOIN', (n: number) => `SELECT 1 FROM t${' JOIN t ON true'.repeat(n)}`],
  ['COLLATE', (n: number) => `SELECT a${' COLLATE "C"'.repeat(n)}`],
  ['EXECUTE AS', (n: number) => `EXECUTE AS USER u ${'('.repeat(n)}`],
])('%s nested without end are refused', (_, text) => {
  attempt(() => parseStatement(text(300)));
  for (const depth of [1000, 30_000]) {
    expect(() => parseStatement(text(depth))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/SYNTAX_ERROR|INVALID_INPUT/) }),
    );
  }
});

test('wide statements are no deep ones', () => {
  const any = Array.from({ length: 5000 }, (_, index) => `a = ${index} AND b <> -${index}`).join(' OR ');
  expect(parseStatement(`DELETE FROM t WHERE ${any}`)).toMatchObject({ kind: 'delete', unsupported: undefined });
  const rows = Array.from({ length: 5000 }, (_, index) => `(${index}, 'x' || 'y')`).join(',');
  expect(parseStatement(`INSERT INTO t VALUES ${rows}`)).toMatchObject({ kind: 'insert', unsupported: undefined });
});

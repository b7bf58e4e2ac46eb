import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { initParser, parseStatement } from '../parser/parse.ts';
import { type LiftedStatement, liftLiterals } from './lift.ts';

beforeAll(() => initParser());

describe('shapes', () => {
  test.each<[string, string, string[]]>([
    ["INSERT INTO t VALUES (1,'a')", 'INSERT INTO t VALUES ($1,$2)', ['1', 'a']],
    ["insert into t (a, b) values (1, 'x'), (-2, E'\\n')", 'insert into t (a, b) values ($1, $2), ($3, $4)', ['1', 'x', '-2', '\n']],
    ['INSERT INTO t VALUES (true, null, DEFAULT, now())', 'INSERT INTO t VALUES (true, null, DEFAULT, now())', []],
    ["INSERT INTO t SELECT 1, 'a' FROM u WHERE b = 2", "INSERT INTO t SELECT 1, 'a' FROM u WHERE b = $1", ['2']],
    [
      "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2, c = 'x' WHERE t.b < 3 RETURNING 4, b + 5",
      'INSERT INTO t VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = $2, c = $3 WHERE t.b < $4 RETURNING 4, b + 5',
      ['1', '2', 'x', '3'],
    ],
    ['INSERT INTO values VALUES (1)', 'INSERT INTO values VALUES ($1)', ['1']],
    ["INSERT INTO t VALUES (FILE('doc'), 1)", "INSERT INTO t VALUES (FILE('doc'), $1)", ['1']],
    ["UPDATE t SET a = 'it''s', b = b + 1.50 WHERE id = 7", 'UPDATE t SET a = $1, b = b + $2 WHERE id = $3', ["it's", '1.50', '7']],
    ['UPDATE set SET a = 1', 'UPDATE set SET a = $1', ['1']],
    ['DELETE FROM t WHERE a = $$x$$ AND b IN (1, .5)', 'DELETE FROM t WHERE a = $1 AND b IN ($2, $3)', ['x', '1', '0.5']],
    [
      'SELECT 1, a FROM t WHERE a = 1 GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1 OFFSET 1',
      'SELECT 1, a FROM t WHERE a = $1 GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1 OFFSET 1',
      ['1'],
    ],
    ['SELECT a AS where, 5 FROM t', 'SELECT a AS where, 5 FROM t', []],
    ['SELECT t.where, 5 FROM t', 'SELECT t.where, 5 FROM t', []],
    ['INSERT INTO t SELECT a values, 5 FROM u', 'INSERT INTO t SELECT a values, 5 FROM u', []],
    ['UPDATE t SET a = (b).where - 5', 'UPDATE t SET a = (b).where - $1', ['5']],
    ['SELECT values, 5 FROM t', 'SELECT values, 5 FROM t', []],
    ['SELECT * FROM t WHERE a BETWEEN -5 AND - 3', 'SELECT * FROM t WHERE a BETWEEN $1 AND $2', ['-5', '-3']],
    ['SELECT * FROM t WHERE between - 5 > 0', 'SELECT * FROM t WHERE between - $1 > $2', ['5', '0']],
    ['SELECT * FROM t WHERE a - 5 = -5 - -5', 'SELECT * FROM t WHERE a - $1 = $2 - $3', ['5', '-5', '-5']],
    ['SELECT * FROM t WHERE a = -5::int', 'SELECT * FROM t WHERE a = -5::int', []],
    ['SELECT * FROM t WHERE a = -5 /* x */ ::int', 'SELECT * FROM t WHERE a = -5 ::int', []],
    ['SELECT * FROM t WHERE a = 5::int', 'SELECT * FROM t WHERE a = $1::int', ['5']],
    [
      "SELECT * FROM t WHERE a = DATE '2020-01-01' AND b = '2020-01-01'::date",
      "SELECT * FROM t WHERE a = DATE '2020-01-01' AND b = $1::date",
      ['2020-01-01'],
    ],
    [
      "SELECT * FROM t WHERE a > TIMESTAMP WITH TIME ZONE '2020-01-01'",
      "SELECT * FROM t WHERE a > TIMESTAMP WITH TIME ZONE '2020-01-01'",
      [],
    ],
    [
      "SELECT * FROM t WHERE a > now() - INTERVAL '1 day' AND b = 1",
      "SELECT * FROM t WHERE a > now() - INTERVAL '1 day' AND b = $1",
      ['1'],
    ],
    ["SELECT * FROM t WHERE a = DECIMAL(10,2) '1.5' AND b = 1", "SELECT * FROM t WHERE a = DECIMAL(10,2) '1.5' AND b = 1", []],
    ["SELECT * FROM t WHERE e = EMBEDDING(3) '[1,2,3]'", "SELECT * FROM t WHERE e = EMBEDDING(3) '[1,2,3]'", []],
    [
      "SELECT * FROM t WHERE CAST('1' AS DECIMAL(10, 2)) = a::varchar(20)",
      'SELECT * FROM t WHERE CAST($1 AS DECIMAL(10, 2)) = a::varchar(20)',
      ['1'],
    ],
    ["SELECT * FROM t WHERE a LIKE 'x!%' ESCAPE '!'", "SELECT * FROM t WHERE a LIKE $1 ESCAPE '!'", ['x!%']],
    [
      "SELECT * FROM t WHERE doc->'a'->>0 = 'x' AND doc -> -1 = 'y'",
      "SELECT * FROM t WHERE doc->'a'->>0 = $1 AND doc -> -1 = $2",
      ['x', 'y'],
    ],
    ["SELECT * FROM t WHERE EXTRACT('year' FROM a) = 2020", "SELECT * FROM t WHERE EXTRACT('year' FROM a) = $1", ['2020']],
    ['SELECT * FROM t WHERE a IS DISTINCT FROM 5', 'SELECT * FROM t WHERE a IS DISTINCT FROM $1', ['5']],
    [
      'SELECT * FROM t WHERE a IN (SELECT 1 FROM u WHERE b = 2 LIMIT 3) AND c = 4',
      'SELECT * FROM t WHERE a IN (SELECT 1 FROM u WHERE b = $1 LIMIT 3) AND c = $2',
      ['2', '4'],
    ],
    ['SELECT count(*) FILTER (WHERE a > 1) FROM t WHERE b = 2', 'SELECT count(*) FILTER (WHERE a > 1) FROM t WHERE b = $1', ['2']],
    [
      "SELECT * FROM t WHERE a = X'00' AND b = 0x1F AND c = 1_000 AND d = 1",
      "SELECT * FROM t WHERE a = X'00' AND b = 0x1F AND c = 1_000 AND d = $1",
      ['1'],
    ],
    ["SELECT * FROM t WHERE a = 1 AND'x'=b AND'y'<>c", 'SELECT * FROM t WHERE a = $1 AND $2=b AND $3<>c', ['1', 'x', 'y']],
    ["SELECT * FROM t WHERE b LIKE'x'AND c IN(-1)", 'SELECT * FROM t WHERE b LIKE $1 AND c IN($2)', ['x', '-1']],
    ['SELECT * FROM t WHERE a = 5 .b AND c = 1', 'SELECT * FROM t WHERE a = 5 .b AND c = 1', []],
    ['SELECT * FROM t WHERE a = -  5 AND b = - /**/ 5', 'SELECT * FROM t WHERE a = - 5 AND b = - 5', []],
    ["SELECT * FROM t WHERE a = 'x'\n'y'", 'SELECT * FROM t WHERE a = $1', ['xy']],
    ['SELECT * FROM t WHERE a = 5OR b = 6', 'SELECT * FROM t WHERE a = 5OR b = 6', []],
    [' /* c */ SELECT  *\n FROM t -- d\n WHERE\ta = 1 ;', 'SELECT * FROM t WHERE a = $1 ;', ['1']],
    ['SELECT \'a  b\' , "c  d"  FROM t', 'SELECT \'a  b\' , "c  d" FROM t', []],
    ['CREATE TABLE t (a  INT DEFAULT 5)', 'CREATE TABLE t (a  INT DEFAULT 5)', []],
    ['(SELECT a FROM t WHERE b = 1)', '(SELECT a FROM t WHERE b = $1)', ['1']],
  ])('%s', (text, shape, literals) => {
    const lifted = liftLiterals(text, 0);
    expect(lifted.shape).toBe(shape);
    expect(lifted.literals.map((literal) => literal.text)).toEqual(literals);
  });

  test('numbers go on behind the parameters of the client', () => {
    expect(liftLiterals('SELECT * FROM t WHERE a = $2 AND b = 5 AND c = $1', 2).shape).toBe(
      'SELECT * FROM t WHERE a = $2 AND b = $3 AND c = $1',
    );
  });

  test('a parameter that the client did not send keeps everything as it is', () => {
    expect(liftLiterals('SELECT * FROM t WHERE a = $3  AND b = 5', 2)).toEqual({
      shape: 'SELECT * FROM t WHERE a = $3 AND b = 5',
      literals: [],
    });
  });

  test('the kinds', () => {
    expect(liftLiterals("INSERT INTO t VALUES (1, 1.5, 'x')", 0).literals.map((literal) => literal.kind)).toEqual([
      'integer',
      'decimal',
      'string',
    ]);
  });
});

/** A tree without positions, with lifted literals in place of their parameters and signs taken into numbers. */
function meaning(text: string, lifted?: LiftedStatement): unknown {
  const clean = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(clean);
    if (typeof node !== 'object' || node === null) return node;
    const copy: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(node)) if (key !== 'position') copy[key] = clean(value);
    const literal = copy['kind'] === 'parameter' ? lifted?.literals[Number(copy['index']) - 1] : undefined;
    return signed(literal === undefined ? copy : { kind: 'literal', literal: literal.kind, text: literal.text });
  };
  return clean(parseStatement(text));
}

function signed(node: Record<string, unknown>): Record<string, unknown> {
  const operand = node['operand'] as Record<string, unknown> | undefined;
  if (node['kind'] !== 'unary' || node['operator'] !== '-' || operand?.['kind'] !== 'literal') return node;
  const text = String(operand['text']);
  const negated = text.startsWith('-') ? text.slice(1) : text === '0' ? text : `-${text}`;
  return /^-?[0-9]/.test(text) ? { ...operand, text: negated } : node;
}

function attempt(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    expect(error).toHaveProperty('code');
    return 'refused';
  }
}

function expectSameMeaning(text: string): void {
  const lifted = attempt(() => liftLiterals(text, 0)) as LiftedStatement | 'refused';
  if (lifted === 'refused') {
    expect(attempt(() => parseStatement(text))).toBe('refused');
    return;
  }
  expect({ text, meaning: attempt(() => meaning(lifted.shape, lifted)) }).toEqual({ text, meaning: attempt(() => meaning(text)) });
}

const literal = fc.constantFrom(
  '0',
  '7',
  '-3',
  '- 4',
  '1.5',
  '-.5',
  '-0',
  '007',
  '12345678901',
  '-9223372036854775808',
  '1e3',
  '0x1F',
  "'x'",
  "'it''s'",
  "''",
  "E'a\\n'",
  '$$d$$',
  'true',
  'null',
  "X'00'",
  "'a'\n'b'",
);
const column = fc.constantFrom('a', 'b', '"c d"', 't.a', '_seq', 'timestamp', 'between', 'values', 'set');
const expression: fc.Arbitrary<string> = fc.letrec<{ value: string; condition: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    literal,
    column,
    fc.tuple(tie('value'), fc.constantFrom('+', '-', '*', '/', '%', '||', ' - ', '-'), tie('value')).map(([l, o, r]) => `${l}${o}${r}`),
    tie('value').map((v) => `(${v})`),
    tie('value').map((v) => `- ${v}`),
    tie('value').map((v) => `(${v})::decimal(10, 2)`),
    fc.tuple(literal, fc.constantFrom('int', 'text', 'double precision', 'varchar(20)', 'timestamp(3)')).map(([v, t]) => `${v}::${t}`),
    tie('value').map((v) => `CAST(${v} AS decimal(12,3))`),
    fc.tuple(fc.constantFrom('coalesce', 'f', 'nullif', 'greatest'), tie('value'), tie('value')).map(([f, l, r]) => `${f}(${l}, ${r})`),
    fc.constantFrom(
      "DATE '2020-01-01'",
      "INTERVAL '1 day'",
      "TIMESTAMP(3) '2020-01-01'",
      'CURRENT_USER()',
      'current_timestamp(3)',
      "EXTRACT('year' FROM a)",
      'EXTRACT(year FROM a)',
    ),
    fc
      .tuple(column, fc.constantFrom('->', '->>', ' -> ', '?'), fc.constantFrom("'k'", '0', '-1', "('k')"))
      .map(([l, o, r]) => `${l}${o}${r}`),
    fc.tuple(tie('value'), fc.constantFrom(' from 1 for 2', ' from 2')).map(([v, rest]) => `SUBSTRING(${v}${rest})`),
    fc.tuple(tie('condition'), tie('value'), tie('value')).map(([c, l, r]) => `CASE WHEN ${c} THEN ${l} ELSE ${r} END`),
  ),
  condition: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc
      .tuple(tie('value'), fc.constantFrom('=', '<>', '<', '>=', ' IS DISTINCT FROM ', ' LIKE ', ' NOT ILIKE '), tie('value'))
      .map(([l, o, r]) => `${l}${o}${r}`),
    fc
      .tuple(tie('value'), fc.constantFrom('', 'NOT ', 'not'), fc.constantFrom('', 'SYMMETRIC'), tie('value'), tie('value'))
      .map(([v, n, s, l, h]) => `${v} ${n} BETWEEN ${s} ${l} AND ${h}`),
    fc
      .tuple(tie('value'), fc.constantFrom('IN', 'NOT IN'), fc.array(tie('value'), { minLength: 1, maxLength: 3 }))
      .map(([v, i, items]) => `${v} ${i} (${items.join(',')})`),
    fc.tuple(tie('value'), literal).map(([v, e]) => `${v} LIKE 'a!%' ESCAPE ${e}`),
    fc.tuple(tie('condition'), fc.constantFrom(' AND ', ' OR '), tie('condition')).map(([l, o, r]) => `${l}${o}${r}`),
    tie('condition').map((c) => `NOT (${c})`),
    tie('value').map((v) => `${v} IS NOT NULL`),
    fc.tuple(column, literal).map(([c, l]) => `${c} IN (SELECT 1, ${l} FROM u WHERE b = ${l} ORDER BY 1 LIMIT 2)`),
  ),
})).value;

const assignment = fc.oneof(expression, fc.constant('DEFAULT'));
const statement: fc.Arbitrary<string> = fc.oneof(
  fc
    .array(fc.array(assignment, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 })
    .map((rows) => `INSERT INTO t VALUES ${rows.map((row) => `(${row.join(', ')})`).join(',')}`),
  fc
    .tuple(expression, expression, expression)
    .map(([v, w, x]) => `INSERT INTO t (a) VALUES (${v}) ON CONFLICT (a) DO UPDATE SET a = ${w} WHERE ${x} > 1 RETURNING a + 1`),
  fc.tuple(expression, expression).map(([v, w]) => `INSERT INTO t (a) SELECT ${v} FROM u WHERE ${w} > 1`),
  fc.tuple(assignment, assignment, expression).map(([v, w, c]) => `UPDATE t SET a = ${v}, "b" = ${w} WHERE ${c} = 5`),
  expression.map((c) => `DELETE FROM t WHERE (${c}) <> 'x'`),
  fc
    .tuple(expression, expression, expression)
    .map(
      ([i, w, h]) =>
        `SELECT ${i} AS x, count(*) FILTER (WHERE a > 1) FROM t WHERE ${w} = 1 GROUP BY 1, ${i} HAVING ${h} > 2 ORDER BY 1, 'x' LIMIT 10 OFFSET 5`,
    ),
);

describe('meaning', () => {
  test('a statement and its shape with the literals put back are the same tree', () => {
    fc.assert(fc.property(statement, expectSameMeaning), { numRuns: 1000 });
  });

  test('so are statements in which tokens were lost, doubled or exchanged, and what is refused stays refused', () => {
    const mutation = fc.tuple(
      fc.nat(),
      fc.constantFrom(
        'drop',
        'double',
        'swap',
        'comment',
        "'x'",
        '5',
        '-',
        '::',
        '(',
        ')',
        ',',
        'AND',
        'FROM',
        'WHERE',
        'SET',
        'VALUES',
        'DATE',
        'decimal',
        'IN',
        'NOT',
        '->',
        '[',
        ']',
        '.',
        'AS',
        'x',
        'values',
        'set',
        'select',
        'distinct',
        'between',
        'like',
        'case',
        'end',
        'is',
        'any',
        'E',
        '$1',
        '.5',
        ';',
      ),
    );
    fc.assert(
      fc.property(statement, fc.array(mutation, { minLength: 1, maxLength: 3 }), (text, mutations) => {
        let parts = text.split(/(?<=[\s(),])|(?=[\s(),])/);
        for (const [at, what] of mutations) {
          const index = at % parts.length;
          const part = parts[index] ?? '';
          const replacement =
            what === 'drop'
              ? []
              : what === 'double'
                ? [part, part]
                : what === 'swap'
                  ? [parts[index + 1] ?? '', part]
                  : what === 'comment'
                    ? [part, ' /* 1 */ ']
                    : [part, ' ', what, ' '];
          parts = [...parts.slice(0, index), ...replacement, ...parts.slice(what === 'swap' ? index + 2 : index + 1)];
        }
        expectSameMeaning(parts.join(''));
      }),
      { numRuns: 3000 },
    );
  });
});

test('the time is linear in the text', () => {
  const rows = (count: number): string =>
    `INSERT INTO t VALUES ${Array.from({ length: count }, (_, index) => `(${index}, 'name ${index}', -1.5)`).join(', ')}`;
  expect(liftLiterals(rows(20_000), 0).literals).toHaveLength(60_000);
  for (const hard of ['-'.repeat(2), '(', '/* */', "''", '$', '1 ', '- ', 'a->', '$$']) {
    attempt(() => liftLiterals(`SELECT * FROM t WHERE ${hard.repeat(100_000)}`, 0));
  }
}, 5_000);

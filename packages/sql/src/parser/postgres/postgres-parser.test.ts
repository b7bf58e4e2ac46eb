import { beforeAll, describe, expect, test } from 'vitest';
import type { Expression, SelectQuery, Statement } from '../../statement/ast.ts';
import { initParser, parseStatement } from '../parse.ts';

beforeAll(() => initParser());

function query(text: string): SelectQuery {
  const statement = parseStatement(text);
  if (statement.kind !== 'select') throw new Error(`parsed as ${statement.kind}`);
  return statement.query;
}

function expression(text: string): Expression {
  const [item] = query(`SELECT ${text} FROM t`).items;
  if (item?.kind !== 'expression') throw new Error('no expression');
  return item.expression;
}

/** A short form of a tree, for comparing. */
function show(node: Expression | undefined): string {
  if (node === undefined) return '-';
  switch (node.kind) {
    case 'literal':
      return `${node.literal}:${node.text}`;
    case 'parameter':
      return `$${node.index}`;
    case 'column':
      return [...node.qualifier, node.name].join('.');
    case 'unary':
      return `(${node.operator} ${show(node.operand)})`;
    case 'binary':
      return `(${show(node.left)} ${node.operator} ${show(node.right)})`;
    case 'is':
      return `(${show(node.operand)} is${node.negated ? ' not' : ''} ${node.what})`;
    case 'distinct-from':
      return `(${show(node.left)} is${node.negated ? ' not' : ''} distinct from ${show(node.right)})`;
    case 'between':
      return `(${show(node.operand)}${node.negated ? ' not' : ''} between ${show(node.low)} and ${show(node.high)})`;
    case 'in':
      return `(${show(node.operand)}${node.negated ? ' not' : ''} in ${node.items.map(show).join(', ')})`;
    case 'like':
      return `(${show(node.operand)}${node.negated ? ' not' : ''} ${node.caseInsensitive ? 'ilike' : 'like'} ${show(node.pattern)} escape ${show(node.escape)})`;
    case 'case':
      return `case ${show(node.subject)} ${node.branches.map((branch) => `when ${show(branch.when)} then ${show(branch.then)}`).join(' ')} else ${show(node.otherwise)}`;
    case 'cast':
      return `${show(node.operand)}::${node.type.kind}`;
    case 'call':
      return `${node.name}(${node.distinct ? 'distinct ' : ''}${node.star ? '*' : node.arguments.map(show).join(', ')})${node.filter === undefined ? '' : ` filter ${show(node.filter)}`}`;
    default:
      return `unsupported ${node.what}`;
  }
}

describe('expressions', () => {
  test.each([
    ["1, 'a'", 'integer:1'],
    ['0', 'integer:0'],
    ['-5', 'integer:-5'],
    ['- 5', 'integer:-5'],
    ['12345678901', 'integer:12345678901'],
    ['-9223372036854775808', 'integer:-9223372036854775808'],
    ['99999999999999999999', 'integer:99999999999999999999'],
    ['1.50', 'decimal:1.50'],
    ['-.5', 'decimal:-0.5'],
    ['1e3', 'decimal:1e3'],
    ['0x1F', 'integer:31'],
    ['0x1FFFFFFFFF', 'integer:137438953471'],
    ["''", 'string:'],
    ["'it''s'", "string:it's"],
    ["E'\\n'", 'string:\n'],
    ['$$x$$', 'string:x'],
    ['true', 'boolean:true'],
    ['false', 'boolean:false'],
    ['NULL', 'null:NULL'],
    ['$2', '$2'],
    ['A', 'a'],
    ['"A"', 'A'],
    ['ns.T.a', 'ns.t.a'],
    ['_deleted', '_deleted'],
    ['a + b * c - d', '((a + (b * c)) - d)'],
    ['a || b', '(a || b)'],
    ['a % 2 = 0', '((a % integer:2) = integer:0)'],
    ['a != 1', '(a <> integer:1)'],
    ['-a', '(- a)'],
    ['+a', '(+ a)'],
    ['NOT a AND b OR c', '(((not a) and b) or c)'],
    ['a AND b AND c AND d', '((a and b) and (c and d))'],
    ['a IS NULL', '(a is null)'],
    ['a IS NOT NULL', '(a is not null)'],
    ['a IS NOT TRUE', '(a is not true)'],
    ['a IS UNKNOWN', '(a is unknown)'],
    ['a IS DISTINCT FROM 1', '(a is distinct from integer:1)'],
    ['a IS NOT DISTINCT FROM 1', '(a is not distinct from integer:1)'],
    ['a BETWEEN 1 AND 2', '(a between integer:1 and integer:2)'],
    ['a NOT BETWEEN 1 AND 2', '(a not between integer:1 and integer:2)'],
    ['a BETWEEN SYMMETRIC 2 AND 1', '((a between integer:2 and integer:1) or (a between integer:1 and integer:2))'],
    ['a NOT BETWEEN SYMMETRIC 2 AND 1', '((a not between integer:2 and integer:1) and (a not between integer:1 and integer:2))'],
    ['a NOT /* c */ BETWEEN 1 AND 2', '(a not between integer:1 and integer:2)'],
    ['a IN (1, b)', '(a in integer:1, b)'],
    ['a NOT IN (1)', '(a not in integer:1)'],
    ['a IN (1, 2,)', '(a in integer:1, integer:2)'],
    ["a LIKE 'x%'", '(a like string:x% escape -)'],
    ["a NOT ILIKE 'x!%' ESCAPE '!'", '(a not ilike string:x!% escape string:!)'],
    ["a->'k'->>0", '((a -> string:k) ->> integer:0)'],
    ["a ? 'k'", '(a ? string:k)'],
    ['CASE WHEN a THEN 1 ELSE 2 END', 'case - when a then integer:1 else integer:2'],
    ['CASE a WHEN 1 THEN 2 END', 'case a when integer:1 then integer:2 else -'],
    ['a::BIGINT', 'a::bigint'],
    ['CAST(a AS DOUBLE)', 'a::double'],
    ['CAST(a AS DOUBLE PRECISION)', 'a::double'],
    ['a::FLOAT', 'a::float'],
    ['a::REAL', 'a::float'],
    ['a::FLOAT8', 'a::double'],
    ['a::DECIMAL(10, 2)', 'a::decimal'],
    ['a::STRING', 'a::text'],
    ['a::CHAR', 'a::text'],
    ['a::VARCHAR(20)', 'a::text'],
    ['a::JSON', 'a::json'],
    ['a::JSONB', 'a::json'],
    ['a::BYTES', 'a::bytes'],
    ['a::BYTEA', 'a::bytes'],
    ['a::TIMESTAMP(3) WITH TIME ZONE', 'a::timestamp'],
    ['a::DATETIME', 'a::datetime'],
    ['a::EMBEDDING(3)', 'a::embedding'],
    ['a::BOOL', 'a::boolean'],
    ['a::UUID', 'a::uuid'],
    ["DATE '2020-01-01'", 'string:2020-01-01::date'],
    ["TIMESTAMP '2020-01-01 10:00:00'", 'string:2020-01-01 10:00:00::timestamp'],
    ['COALESCE(a, 1)', 'coalesce(a, integer:1)'],
    ['NULLIF(a, 1)', 'nullif(a, integer:1)'],
    ['GREATEST(a, 1)', 'greatest(a, integer:1)'],
    ['LEAST(a, 1)', 'least(a, integer:1)'],
    ['CURRENT_USER', 'current_user()'],
    ['CURRENT_USER()', 'current_user()'],
    ['current_user ( )', 'current_user()'],
    ['CURRENT_ROLE()', 'current_role()'],
    ['CURRENT_ROLE', 'current_role()'],
    ['CURRENT_USER_ID()', 'current_user_id()'],
    ['KDB_CURRENT_USER()', 'kdb_current_user()'],
    ['CURRENT_TIMESTAMP', 'current_timestamp()'],
    ['CURRENT_TIMESTAMP(3)', 'current_timestamp()'],
    ['CURRENT_DATE', 'current_date()'],
    ['NOW()', 'now()'],
    ['COUNT(*)', 'count(*)'],
    ['count(DISTINCT a)', 'count(distinct a)'],
    ['sum(a) FILTER (WHERE b > 1)', 'sum(a) filter (b > integer:1)'],
    ['EXTRACT(YEAR FROM a)', 'extract(string:year, a)'],
    ['SUBSTRING(a FROM 2 FOR 3)', 'substring(a, integer:2, integer:3)'],
    ['SUBSTRING(a, 2)', 'substring(a, integer:2)'],
    ["TRIM(BOTH 'x' FROM a)", 'btrim(a, string:x)'],
    ['TRIM(a)', 'btrim(a)'],
    ["TRIM(LEADING 'x' FROM a)", 'ltrim(a, string:x)'],
    ['TRIM(TRAILING FROM a)', 'rtrim(a)'],
    ["POSITION('x' IN a)", 'position(a, string:x)'],
    ["OVERLAY(a PLACING 'x' FROM 1)", 'overlay(a, string:x, integer:1)'],
    ["a AT TIME ZONE 'UTC'", 'timezone(string:UTC, a)'],
    ['(SELECT 1)', 'unsupported subqueries'],
    ['EXISTS (SELECT 1)', 'unsupported subqueries'],
    ['a IN (SELECT 1)', 'unsupported subqueries'],
    ['count(*) OVER ()', 'unsupported window functions'],
    ['ARRAY[1]', 'unsupported arrays'],
    ['a::int[]', 'unsupported arrays'],
    ['a[1]', 'unsupported array subscripts'],
    ['(a, b) = (1, 2)', '(unsupported row values = unsupported row values)'],
    ["a = ANY('{1}')", 'unsupported ANY'],
    ["a SIMILAR TO 'x'", 'unsupported SIMILAR TO'],
    ["a ~ 'x'", 'unsupported operator ~'],
    ['a ^ 2', 'unsupported operator ^'],
    ['a COLLATE "C"', 'unsupported COLLATE'],
    ["INTERVAL '1 day'", 'unsupported INTERVAL'],
    ["X'00ff'", 'unsupported bit strings'],
    ['count(t.*)', 'count(unsupported a row as a value)'],
    ['string_agg(a ORDER BY b)', 'unsupported ORDER BY in an aggregate'],
    ['f(x => 1)', 'f(unsupported named arguments)'],
    ['GROUPING(a)', 'unsupported GROUPING'],
    ["JSON_OBJECT('a': 1)", 'unsupported SQL/JSON expressions'],
    ['a IS JSON', 'unsupported SQL/JSON expressions'],
  ])('%s', (text, expected) => {
    expect(show(expression(text))).toBe(expected);
  });

  test('type parameters reach the type', () => {
    expect(expression('a::DECIMAL(10, 2)')).toMatchObject({ type: { kind: 'decimal', precision: 10, scale: 2 } });
    expect(expression('a::EMBEDDING(3)')).toMatchObject({ type: { kind: 'embedding', dimension: 3 } });
  });

  test('names longer than the grammar keeps are whole', () => {
    const long = `Column_${'x'.repeat(57)}`;
    expect(show(expression(`${long}0 || "${long}1" || t.${long}2`))).toBe(
      `((${long.toLowerCase()}0 || ${long}1) || t.${long.toLowerCase()}2)`,
    );
    expect(query(`SELECT 1 AS ${'é'.repeat(40)} FROM ${'t'.repeat(64)}`)).toMatchObject({
      items: [{ alias: 'é'.repeat(40) }],
      from: { table: { name: 't'.repeat(64) } },
    });
  });
});

describe('queries', () => {
  test('every clause has its place', () => {
    expect(
      query(
        'SELECT DISTINCT a AS x, *, t.* FROM Ns."T" AS u WHERE b GROUP BY a, 2 HAVING c ORDER BY a DESC NULLS LAST, b LIMIT 5 OFFSET $1',
      ),
    ).toMatchObject({
      distinct: true,
      items: [
        { kind: 'expression', alias: 'x' },
        { kind: 'star', qualifier: undefined },
        { kind: 'star', qualifier: 't' },
      ],
      from: { table: { namespace: 'ns', name: 't', position: 36 }, alias: 'u' },
      where: { kind: 'column', name: 'b' },
      groupBy: [{ name: 'a' }, { kind: 'literal', text: '2' }],
      having: { name: 'c' },
      orderBy: [
        { expression: { name: 'a' }, descending: true, nulls: 'last' },
        { expression: { name: 'b' }, descending: false, nulls: undefined },
      ],
      limit: { kind: 'literal', text: '5' },
      offset: { kind: 'parameter', index: 1 },
      unsupported: undefined,
    });
  });

  test('a query without a table', () => {
    expect(query('SELECT 1')).toMatchObject({ from: undefined, where: undefined, limit: undefined, groupBy: [], orderBy: [] });
  });

  test.each([
    ['SELECT a, b, FROM t', 2],
    ['SELECT a FROM kalam.ns.t', 1],
    ['SELECT a FROM t LIMIT ALL', 1],
    ['SELECT a FROM t FETCH FIRST 3 ROWS ONLY', 1],
    ['SELECT ALL a FROM t;', 1],
    ['TABLE t', 1],
  ])('%s is taken', (text, items) => {
    expect(query(text)).toMatchObject({ unsupported: undefined, from: { table: { name: 't' } } });
    expect(query(text).items).toHaveLength(items);
  });

  test.each([
    ['SELECT * FROM t JOIN u ON true', 'JOIN'],
    ['SELECT * FROM t, u', 'JOIN'],
    ['SELECT * FROM t, LATERAL (SELECT 1) x', 'LATERAL'],
    ['SELECT * FROM (SELECT 1) x', 'subqueries'],
    ['SELECT * FROM f(1)', 'table functions'],
    ['SELECT * FROM t TABLESAMPLE SYSTEM (1)', 'TABLESAMPLE'],
    ['SELECT * FROM other.ns.t', "catalog 'other'"],
    ['SELECT * FROM t AS x(a)', 'column names in a table alias'],
    ['WITH x AS (SELECT 1) SELECT * FROM x', 'WITH'],
    ['SELECT 1 UNION SELECT 2', 'UNION'],
    ['SELECT 1 EXCEPT SELECT 2', 'EXCEPT'],
    ['SELECT 1 INTERSECT SELECT 2', 'INTERSECT'],
    ['VALUES (1)', 'VALUES as a query'],
    ['SELECT DISTINCT ON (a) a FROM t', 'DISTINCT ON'],
    ['SELECT a INTO u FROM t', 'SELECT INTO'],
    ['SELECT FROM t', 'an empty select list'],
    ['SELECT a FROM t GROUP BY ROLLUP (a)', 'GROUPING SETS'],
    ['SELECT a FROM t WINDOW w AS ()', 'window functions'],
    ['SELECT a FROM t ORDER BY a USING <', 'ORDER BY USING'],
    ['SELECT a FROM t ORDER BY a FETCH FIRST 1 ROW WITH TIES', 'WITH TIES'],
    ['SELECT a FROM t FOR UPDATE', 'FOR UPDATE'],
  ])('%s names what is missing', (text, what) => {
    expect(query(text).unsupported?.what).toBe(what);
  });
});

describe('writes', () => {
  test('INSERT with values', () => {
    expect(parseStatement(`INSERT INTO ns.T (A, "dueAt") VALUES (1, DEFAULT), ($1, 'x')`)).toMatchObject({
      kind: 'insert',
      table: { namespace: 'ns', name: 't', position: 12 },
      columns: [
        { name: 'a', position: 18 },
        { name: 'dueAt', position: 21 },
      ],
      source: {
        kind: 'values',
        rows: [
          [{ text: '1' }, 'default'],
          [{ index: 1 }, { text: 'x' }],
        ],
      },
      unsupported: undefined,
    });
  });

  test('INSERT without columns, from a query, with defaults only', () => {
    expect(parseStatement('INSERT INTO t VALUES (1,)')).toMatchObject({
      columns: undefined,
      source: { kind: 'values', rows: [[{ text: '1' }]] },
    });
    expect(parseStatement('INSERT INTO t SELECT a FROM u')).toMatchObject({
      source: { kind: 'select', query: { from: { table: { name: 'u' } } } },
    });
    expect(parseStatement('INSERT INTO t DEFAULT VALUES')).toMatchObject({ source: { kind: 'default-values' } });
  });

  test('UPDATE, with an alias and with a row', () => {
    expect(parseStatement('UPDATE ns.t AS x SET a = x.b + 1, b = DEFAULT WHERE x.id = 1 AND t.c')).toMatchObject({
      kind: 'update',
      table: { namespace: 'ns', name: 't' },
      assignments: [
        { column: 'a', value: { left: { kind: 'column', qualifier: [], name: 'b' } }, position: 21 },
        { column: 'b', value: 'default' },
      ],
      where: { left: { left: { qualifier: [], name: 'id' } }, right: { qualifier: ['t'], name: 'c' } },
      unsupported: undefined,
    });
    expect(parseStatement('UPDATE t SET (a, b) = (1, 2)')).toMatchObject({
      assignments: [
        { column: 'a', value: { text: '1' } },
        { column: 'b', value: { text: '2' } },
      ],
      where: undefined,
    });
  });

  test('ON CONFLICT and RETURNING', () => {
    const upsert =
      'INSERT INTO t AS U VALUES (1) ON CONFLICT (A) DO UPDATE SET b = excluded.b, (c, d) = (1, DEFAULT) WHERE u.b < 2 RETURNING *, u.a AS x';
    expect(parseStatement(upsert)).toMatchObject({
      alias: 'u',
      onConflict: {
        target: [{ name: 'a' }],
        action: {
          kind: 'update',
          assignments: [
            { column: 'b', value: { kind: 'column', qualifier: ['excluded'], name: 'b' } },
            { column: 'c', value: { text: '1' } },
            { column: 'd', value: 'default' },
          ],
          where: { operator: '<' },
        },
      },
      returning: [{ kind: 'star' }, { kind: 'expression', expression: { qualifier: ['u'], name: 'a' }, alias: 'x' }],
      unsupported: undefined,
    });
    expect(parseStatement('INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING')).toMatchObject({
      onConflict: { target: undefined, action: { kind: 'nothing' } },
      returning: undefined,
    });
    expect(parseStatement('UPDATE t AS u SET a = 1 RETURNING u.*, u.a')).toMatchObject({
      alias: 'u',
      returning: [
        { kind: 'star', qualifier: 'u' },
        { kind: 'expression', expression: { kind: 'column', qualifier: [], name: 'a' } },
      ],
    });
    expect(parseStatement('DELETE FROM t WHERE a RETURNING 1')).toMatchObject({ returning: [{ expression: { text: '1' } }] });
  });

  test('DELETE', () => {
    expect(parseStatement('DELETE FROM t WHERE a')).toMatchObject({
      kind: 'delete',
      table: { name: 't' },
      where: { name: 'a' },
      unsupported: undefined,
    });
  });

  test.each([
    ['INSERT INTO t VALUES (1) RETURNING WITH (OLD AS o) a', 'RETURNING WITH'],
    ['INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT k DO NOTHING', 'ON CONFLICT ON CONSTRAINT'],
    ['INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO NOTHING', 'WHERE in the target of ON CONFLICT'],
    ['INSERT INTO t VALUES (1) ON CONFLICT (a COLLATE "C") DO NOTHING', 'expressions in the target of ON CONFLICT'],
    ['INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a[1] = 2', 'assignments to a part of a column'],
    ['INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1)', 'OVERRIDING'],
    ['WITH x AS (SELECT 1) INSERT INTO t VALUES (1)', 'WITH'],
    ['INSERT INTO t (a.b) VALUES (1)', 'assignments to a part of a column'],
    ['UPDATE t SET a = 1 FROM u', 'UPDATE … FROM'],
    ['UPDATE t SET a[1] = 1', 'assignments to a part of a column'],
    ['DELETE FROM t USING u', 'DELETE … USING'],
  ])('%s names what is missing', (text, what) => {
    const statement: Statement = parseStatement(text);
    expect('unsupported' in statement ? statement.unsupported?.what : undefined).toBe(what);
  });
});

describe('errors', () => {
  test.each([
    ['SELECT a FROM FROM t', 'syntax error at or near "FROM"', 14],
    ["SELECT 'é😀', b FROM FROM t", 'syntax error at or near "FROM"', 21],
    ['SELECT a FROM', 'syntax error at end of input', 13],
    ['SELECT $0', 'there is no parameter $0', 7],
    ["SELECT '😀', $0", 'there is no parameter $0', 13],
    ['SELECT 1; SELECT 2', 'one statement is expected, found several', 10],
    ['SELECT a \0', 'the statement contains a NUL character', 9],
    ["SELECT '\ud800'", 'the statement contains half of a surrogate pair', 8],
    ['SELECT 5OR 6', 'trailing junk after numeric literal at or near "5OR"', 7],
    ['INSERT INTO t VALUES', 'syntax error at end of input', 20],
  ])('%j', (text, reason, offset) => {
    expect(() => parseStatement(text)).toThrow(
      expect.objectContaining({ code: 'SYNTAX_ERROR', message: `Invalid SQL: ${reason}`, position: expect.objectContaining({ offset }) }),
    );
  });

  test('line and column', () => {
    expect(() => parseStatement('SELECT a,\n  b\n FROM WHERE')).toThrow(
      expect.objectContaining({ position: { offset: 20, line: 3, column: 7 } }),
    );
  });

  test.each([
    ['SELECT a::xml', 'UNSUPPORTED_TYPE', 10],
    ["SELECT 'é', a::EMBEDDING(0)", 'INVALID_TYPE_PARAMETER', 15],
    ['SELECT a::EMBEDDING(b)', 'INVALID_TYPE_PARAMETER', 10],
  ])('%s is %s', (text, code, offset) => {
    expect(() => parseStatement(text)).toThrow(expect.objectContaining({ code, position: expect.objectContaining({ offset }) }));
  });

  test.each([
    ["SELECT 'x", 'UNTERMINATED_STRING'],
    ['SELECT /* x', 'UNTERMINATED_COMMENT'],
    ['', 'EMPTY_SQL'],
  ])('%j is %s', (text, code) => {
    expect(() => parseStatement(text)).toThrow(expect.objectContaining({ code }));
  });

  test('positions of expressions count UTF-16 units', () => {
    expect(query("SELECT 'é😀' AS x, b + c FROM t").items[1]).toMatchObject({
      expression: { position: 21, left: { position: 19 }, right: { position: 23 } },
    });
  });
});

import type { Cell } from '@kalamdb/protocol';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { initParser, parseStatement } from '../parser/parse.ts';
import type { Expression, Statement } from '../statement/ast.ts';
import { CONSTANT, readValuesList, type ValuesList } from './values-list.ts';

beforeAll(() => initParser());

const PARAMETERS: readonly Cell[] = [7n, 'p', 1.5, null, true];

/** The tuples of a list as PostgreSQL's parser tells them. */
function tuples(list: ValuesList): unknown[] {
  const rows: unknown[] = [];
  for (let from = 0; from < list.values.length; from += list.width) {
    rows.push(list.values.slice(from, from + list.width).map((value, at) => [list.kinds[from + at], String(value)]));
  }
  return rows;
}

/** What a constant is, by the parser's tree. */
function constantOf(node: Expression | 'default'): unknown {
  if (node === 'default') return [CONSTANT.default, 'null'];
  if (node.kind === 'parameter') {
    const cell = PARAMETERS[node.index - 1] ?? null;
    const kinds = { string: CONSTANT.string, bigint: CONSTANT.integer, number: CONSTANT.decimal, boolean: CONSTANT.boolean } as const;
    return [kinds[typeof cell as keyof typeof kinds] ?? CONSTANT.null, String(cell)];
  }
  if (node.kind === 'unary' && node.operator === '-' && node.operand.kind === 'literal') {
    const { text } = node.operand;
    return constantOf({ ...node.operand, text: text === '0' ? text : `-${text}` });
  }
  if (node.kind !== 'literal') return node;
  const wide = node.literal === 'integer' && BigInt.asIntN(64, BigInt(node.text)) !== BigInt(node.text);
  return [CONSTANT[wide ? 'decimal' : node.literal], node.literal === 'null' ? 'null' : node.text];
}

/** What follows the tuples, wherever it stands. */
function clausesOf({ onConflict, returning }: Extract<Statement, { kind: 'insert' }>): string {
  return JSON.stringify([onConflict, returning], (name, value) => (name === 'position' ? undefined : value));
}

function expectAsParsed(text: string): void {
  const list = readValuesList(text, PARAMETERS);
  if (list === undefined) return;
  const one = `${list.head} (${Array.from({ length: list.width }, () => 'DEFAULT').join(',')}) ${list.tail}`;
  const parsed = (sql: string): Statement | undefined => {
    try {
      return parseStatement(sql);
    } catch (error) {
      expect(error).toHaveProperty('code');
      return undefined;
    }
  };
  const head = parsed(one);
  const whole = parsed(text);
  expect({ text, parsed: whole !== undefined }).toEqual({ text, parsed: head !== undefined });
  if (whole === undefined) return;
  if (whole.kind !== 'insert' || whole.source.kind !== 'values') throw new Error(`${text} is no INSERT … VALUES`);
  if (head?.kind === 'insert') expect({ text, clauses: clausesOf(whole) }).toEqual({ text, clauses: clausesOf(head) });
  expect({ text, rows: tuples(list) }).toEqual({ text, rows: whole.source.rows.map((row) => row.map(constantOf)) });
}

const constant = fc.oneof(
  fc.constantFrom('0', '-0', '7', '-3', '- 4', '007', '-0.0', '.5', '-.5', '5.', '1e3', '-1E-3', '123456789012345', '1234567890123456'),
  fc.constantFrom('9223372036854775807', '-9223372036854775808', '9223372036854775808', '99999999999999999999999', '1.50'),
  fc.constantFrom("''", "'x'", "'it''s'", "E'a\\n'", '$$d$$', '$t$)$t$', "'a'\n'b'", "'),('", "'--'", "'éß'"),
  fc.constantFrom('NULL', 'null', 'TRUE', 'false', 'DEFAULT', 'default', '$1', '$2', '$3', '$4', '$5'),
);
const gap = fc.constantFrom('', '', '', ' ', ' ', '\n', '  ', '/* , */', ' -- )\n');
const tuple = fc
  .tuple(fc.array(fc.tuple(gap, constant, gap), { minLength: 1, maxLength: 4 }), fc.constantFrom('', ' '))
  .map(([parts, before]) => `(${before}${parts.map((part) => part.join('')).join(',')})`);
const head = fc.constantFrom(
  'INSERT INTO t VALUES',
  'insert into n.t (a,b) values',
  'INSERT  INTO "T" ( a , "b c" )/**/VALUES',
  'INSERT INTO values VALUES',
);
const tail = fc.constantFrom(
  '',
  '',
  ' RETURNING a',
  'returning/**/*',
  ' ON CONFLICT DO NOTHING',
  '\non  CONFLICT (a) do update SET a = excluded.a -- )\n WHERE t.a <> excluded.a RETURNING t.*, a AS "b c"',
  ' ON CONFLICT',
  ' RETURNING',
  ' returning a b c',
  ' ON t.a',
);
const statement = fc
  .tuple(
    head,
    fc.array(fc.tuple(gap, tuple, gap), { minLength: 1, maxLength: 3 }),
    fc.tuple(tail, fc.constantFrom('', ';', ' ; ', ' -- end')).map((parts) => parts.join('')),
  )
  .map(([start, rows, end]) => `${start}${rows.map((row) => row.join('')).join(',')}${end}`);

describe('lists of constants', () => {
  test.each<[string, string, number, unknown[]]>([
    ["INSERT INTO t VALUES (1,'a')", 'INSERT INTO t VALUES', 2, [1, 'a']],
    [
      ' /* c */ insert\n into a.t (x, "y z") VALUES (-1, 1.50), (NULL, DEFAULT);',
      'insert into a.t (x, "y z") VALUES',
      2,
      [-1, '1.50', null, null],
    ],
    [
      'INSERT INTO t VALUES (TRUE), (false), ($2), (12345678901234567890)',
      'INSERT INTO t VALUES',
      1,
      [true, false, 'p', '12345678901234567890'],
    ],
    ["INSERT INTO t VALUES ('it''s', E'\\n', $$x$$)", 'INSERT INTO t VALUES', 3, ["it's", '\n', 'x']],
  ])('%s', (text, start, width, values) => {
    expect(readValuesList(text, PARAMETERS)).toMatchObject({ head: start, width, values });
  });

  test('the kinds of a place are those of all tuples', () => {
    const kinds = readValuesList("INSERT INTO t VALUES (1, 'x'), (1.5, NULL)", [])?.columnKinds;
    expect(kinds).toEqual([CONSTANT.integer | CONSTANT.decimal, CONSTANT.string | CONSTANT.null]);
  });

  test.each([
    'INSERT INTO t VALUES (1), (1, 2)',
    'INSERT INTO t VALUES (1 + 1)',
    'INSERT INTO t VALUES (now())',
    'INSERT INTO t VALUES (a)',
    'INSERT INTO t VALUES ()',
    'INSERT INTO t VALUES',
    'INSERT INTO t VALUES (1,)',
    'INSERT INTO t VALUES (1),',
    'INSERT INTO t VALUES (1) RETURNING 1',
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 'x'",
    'INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = $1',
    'INSERT INTO t VALUES (1) RETURNING a;;',
    'INSERT INTO t VALUES (1);;',
    'INSERT INTO t AS u VALUES (1)',
    'INSERT INTO t SELECT 1',
    'INSERT INTO t DEFAULT VALUES',
    'INSERT INTO t VALUES ($9)',
    "INSERT INTO t VALUES ('1'::int)",
    'INSERT INTO t VALUES (-1::int)',
    "INSERT INTO t VALUES (DATE '2020-01-01')",
    "INSERT INTO t VALUES ('a' 'b')",
    "INSERT INTO t VALUES (X'00')",
    'INSERT INTO t VALUES (0x1F)',
    'INSERT INTO t VALUES (1_000)',
    'INSERT INTO t VALUES (-  1)',
    'INSERT INTO t VALUES (+1)',
    'INSERT INTO t VALUES (1a)',
    'INSERT INTO t VALUES ("true")',
    "INSERT INTO t VALUES ('\0')",
    'UPDATE t SET a = 1',
  ])('%s is left to the parser', (text) => {
    expect(readValuesList(text, PARAMETERS)).toBeUndefined();
  });

  test('what is read is what the parser reads', () => {
    fc.assert(fc.property(statement, expectAsParsed), { numRuns: 1500 });
  });

  test('also when characters were lost, doubled or exchanged', () => {
    const mutation = fc.tuple(
      fc.nat(),
      fc.constantFrom('', ',', '(', ')', "'", '-', '.', ' ', '5', 'a', ';', '$', '$1', '::', '--', '/*', 'NULL', 'e5', '"', '\n'),
    );
    fc.assert(
      fc.property(statement, fc.array(mutation, { minLength: 1, maxLength: 3 }), (text, mutations) => {
        let mutated = text;
        for (const [at, what] of mutations) {
          const index = at % mutated.length;
          mutated = mutated.slice(0, index) + what + mutated.slice(index + (at % 2));
        }
        try {
          readValuesList(mutated, PARAMETERS);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^UNTERMINATED_/) });
          expect(() => parseStatement(mutated)).toThrow();
          return;
        }
        expectAsParsed(mutated);
      }),
      { numRuns: 3000 },
    );
  });
});

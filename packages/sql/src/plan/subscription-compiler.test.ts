import { type Cell, compareText, type DataType, KalamError, plainType, type Row } from '@kalamdb/protocol';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ColumnInfo, EvalContext } from '../expression/input-row.ts';
import { initParser } from '../parser/parse.ts';
import type { CellSet, RoutingCondition } from './plans.ts';
import { bindSubscription } from './subscription.ts';
import { type BoundSubscription, SubscriptionCompiler } from './subscription-compiler.ts';
import type { CatalogView, TableInfo } from './table-info.ts';

const COLUMNS: Readonly<Record<string, DataType>> = {
  id: plainType('int'),
  name: plainType('text'),
  n: plainType('bigint'),
  d: plainType('double'),
  f: plainType('float'),
  price: { kind: 'decimal', precision: 10, scale: 2 },
  active: plainType('boolean'),
  at: plainType('timestamp'),
  u: plainType('uuid'),
  doc: plainType('json'),
  raw: plainType('bytes'),
};
const NAMES = Object.keys(COLUMNS);

function tableOf(version: number): TableInfo {
  const system = { nullable: false, primaryKey: false, default: undefined };
  const columns: ColumnInfo[] = Object.entries(COLUMNS).map(([name, type], index) => {
    return { id: index + 1, name, type, nullable: index > 0, primaryKey: index === 0, default: undefined, system: undefined };
  });
  columns.push({ ...system, id: 100, name: '_seq', type: plainType('bigint'), system: '_seq' });
  columns.push({ ...system, id: 101, name: '_deleted', type: plainType('boolean'), system: '_deleted' });
  return { id: 1000, version, namespace: 'app', name: 't', kind: 'shared', columns };
}

let table = tableOf(1);
const catalog: CatalogView = { hasNamespace: () => true, table: (_namespace, name) => (name === 't' ? table : undefined) };
const NEVER = (): never => {
  throw new Error('not for filters');
};

function contextOf({ values }: Pick<BoundSubscription, 'values'>): EvalContext {
  const unused = { snowflakeId: NEVER, uuidV7: NEVER, ulid: NEVER, random: NEVER };
  return { ...unused, ...values, nowMicros: 1_700_000_000_000_000n, userId: 'ann', role: 'user' };
}

const textOf = (where: string): string => `SELECT * FROM app.t WHERE ${where}`;
const compiler = new SubscriptionCompiler({ plansMax: 50 });
const compile = (where: string): BoundSubscription => compiler.compile(textOf(where), { catalog });

/** The conditions in short: column, points, and ranges in brackets that say whether their ends belong to them. */
function shown(where: string): readonly string[] {
  const bound = compile(where);
  const cell = (value: Cell): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));
  const range = ({ from, to }: CellSet['ranges'][number]): string =>
    `${from?.inclusive === true ? '[' : '('}${from === undefined ? '' : cell(from.cell)}..${to === undefined ? '' : cell(to.cell)}${to?.inclusive === true ? ']' : ')'}`;
  return bound.plan
    .routing(contextOf(bound))
    .map(({ columnIndex, points, ranges }) => `${NAMES[columnIndex]}: ${[...points.map(cell), ...ranges.map(range)].join(' ')}`);
}

beforeAll(() => initParser());

describe('routing conditions', () => {
  test.each([
    ['id = 5', ['id: 5']],
    ["5 = id AND name = 'x'", ['id: 5', 'name: "x"']],
    ['id IN (1, 2, NULL, 2)', ['id: 1 2']],
    ['id = 1 OR id = 2 OR id IN (3, 4)', ['id: 1 2 3 4']],
    ["(id = 1 AND name = 'x') OR (name = 'y' AND id = 2)", ['id: 1 2', 'name: "x" "y"']],
    ["id = 1 OR name = 'x'", []],
    ['n > 5', ['n: (5..)']],
    ['5 >= n', ['n: (..5]']],
    ['n BETWEEN 2 AND 7 AND n < 7', ['n: [2..7)']],
    ['n > 5 AND n < 3', ['n: ']],
    ['n >= 5 AND n <= 5', ['n: 5']],
    ['n < 3 OR n = 5 OR n > 7', ['n: 5 (..3) (7..)']],
    ['n IN (1, 5, 9) AND n > 4', ['n: 5 9']],
    ["name LIKE 'ab%'", ['name: ["ab".."ac")']],
    ["name LIKE 'a\\_b_'", ['name: ["a_b".."a_c")']],
    ["name LIKE 'ab'", ['name: "ab"']],
    ["name LIKE '\u{10ffff}%'", ['name: ["\u{10ffff}"..)']],
    ["name LIKE 'a\ud7ff%'", ['name: ["a\ud7ff".."a\ue000")']],
    ["name LIKE '%'", ['name: [""..)']],
    ["name ILIKE 'ab%'", []],
    ["name NOT LIKE 'ab%'", []],
    ['name IS NULL OR name IS NOT DISTINCT FROM NULL', ['name: null']],
    ["name IS NULL OR name = 'x'", ['name: null "x"']],
    ['active', ['active: true']],
    ['NOT active', ['active: false']],
    ['active IS NOT TRUE', ['active: false null']],
    ['active > false', []],
    ['price = 1.5', ['price: 150']],
    ['price < 1.505', ['price: (..151)']],
    ['id < 1.5', ['id: (..1.5)']],
    ['f = 0.1', ['f: 0.1']],
    ["at >= '1970-01-01 00:00:01'", ['at: [1000000..)']],
    ['name = CURRENT_USER()', ['name: "ann"']],
    ['at > NOW()', []],
    ['abs(n) = 5', []],
    ['n + 0 = 5', []],
    ["n = 5 AND abs(id) = 3 AND doc->>'k' = 'x'", ['n: 5']],
    ['id = NULL', ['id: ']],
    ['false', ['id: ']],
    ['_deleted = true', []],
    ['id = 1 / 0', []],
  ])('of %s', (where, expected) => {
    expect(shown(where)).toEqual(expected);
  });
});

const CELLS: Readonly<Record<string, readonly Cell[]>> = {
  id: [0, 1, 2, 3, -1],
  name: ['', 'a', 'ab', 'abc', 'b', 'ann', '\uffee', '\u{1f600}', null],
  n: [0n, 1n, 2n, 3n, 5n, null],
  d: [0, -0, 0.5, 1, Number.NaN, Number.POSITIVE_INFINITY, null],
  f: [0, -0, Math.fround(0.1), 0.5, 1, Number.NaN, null],
  price: [0n, 50n, 100n, 150n, 151n, null],
  active: [true, false, null],
  at: [0n, 1_000_000n, 2_000_000n, null],
  u: ['550e8400-e29b-41d4-a716-446655440000', '00000000-0000-0000-0000-000000000001', null],
  doc: ['{"k":1}', null],
  raw: [Uint8Array.of(1), null],
};
const LITERALS: Readonly<Record<string, readonly string[]>> = {
  id: ['0', '1', '2', '-1', '1.5', '9999999999', 'NULL'],
  name: ["''", "'a'", "'ab'", "'b'", "'\uffee'", "'\u{1f600}'", 'CURRENT_USER()'],
  n: ['0', '1', "'2'", '2.5', '5', '99999999999999999999'],
  d: ['0', '-0.0', '0.5', '1', "'NaN'"],
  f: ['0', '0.1', '0.5', '1'],
  price: ['0', '0.5', '1.5', '1.505', "'1.50'"],
  at: ["'1970-01-01 00:00:01'", '1000000', "'1970-01-01'", 'NOW()'],
  u: ["'550E8400-E29B-41D4-A716-446655440000'", "'00000000-0000-0000-0000-000000000001'"],
};

const cellsOf: fc.Arbitrary<Row> = fc.tuple(...NAMES.map((name) => fc.constantFrom<Cell>(...(CELLS[name] ?? []))));
const compared = fc.constantFrom(...Object.keys(LITERALS)).chain((name) => {
  const literal = fc.constantFrom(...(LITERALS[name] ?? []));
  const operator = fc.constantFrom('=', '<>', '<', '<=', '>', '>=', 'IS NOT DISTINCT FROM', 'IS DISTINCT FROM');
  return fc.oneof(
    fc.tuple(operator, literal).map(([sign, value]) => `${name} ${sign} ${value}`),
    fc.tuple(operator, literal).map(([sign, value]) => `${value} ${sign} ${name}`),
    fc.array(literal, { minLength: 1, maxLength: 4 }).map((values) => `${name} IN (${values.join(', ')})`),
    fc.tuple(literal, literal).map(([low, high]) => `${name} BETWEEN ${low} AND ${high}`),
  );
});
const atom = fc.oneof(
  { weight: 6, arbitrary: compared },
  fc.constantFrom("name LIKE 'a%'", "name LIKE 'a_'", "name LIKE '%b%'", "name LIKE 'ab'", "name LIKE '\u{1f600}%'", "name ILIKE 'A%'"),
  fc.constantFrom('active', 'active IS NOT FALSE', 'active = false', 'name IS NULL', 'n IS NOT NULL', 'price IS NULL', 'doc = \'{"k":1}\''),
  fc.constantFrom('abs(n) = 2', "length(name) > 1 AND name IN ('a', 'ab')", 'd + 1 = 2', 'CASE WHEN n = 2 THEN id = 1 ELSE active END'),
);
const { where: predicate } = fc.letrec<{ where: string }>((tie) => ({
  where: fc.oneof(
    { maxDepth: 3 },
    atom,
    fc.tuple(tie('where'), fc.constantFrom('AND', 'OR'), tie('where')).map(([a, join, b]) => `(${a}) ${join} (${b})`),
    tie('where').map((inner) => `NOT (${inner})`),
  ),
}));

function contains({ points, ranges }: RoutingCondition, cell: Cell): boolean {
  if (points.includes(cell)) return true;
  if (cell === null) return false;
  const order = (other: Cell): number =>
    typeof cell === 'string' ? compareText(cell, String(other)) : cell < (other ?? 0) ? -1 : cell > (other ?? 0) ? 1 : 0;
  return ranges.some(({ from, to }) => {
    const above = from === undefined || (from.inclusive ? order(from.cell) >= 0 : order(from.cell) > 0);
    return above && (to === undefined || (to.inclusive ? order(to.cell) <= 0 : order(to.cell) < 0));
  });
}

/** What a filter says of a row; the code of the error that it throws. */
function outcome(work: () => boolean | undefined): boolean | string | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof KalamError) return error.code;
    throw error;
  }
}

describe('shared plans', () => {
  test('a plan with its literals says of every row what the text says, and no row that matches fails a routing condition', () => {
    let [matches, conditions] = [0, 0];
    fc.assert(
      fc.property(predicate, fc.array(cellsOf, { minLength: 3, maxLength: 8 }), (where, rows) => {
        const written = outcomeOf(() => bindSubscription(textOf(where), { catalog }));
        const bound = outcomeOf(() => compile(where));
        if (typeof written === 'string' || typeof bound === 'string') {
          expect(bound).toBe(written);
          return;
        }
        const context = contextOf(bound);
        const plain = contextOf({ values: { parameters: [] } });
        const routing = bound.plan.routing(context);
        expect(routing).toEqual(written.routing(plain));
        conditions += routing.length;
        for (const cells of rows) {
          const row = { cells, seq: 1n, deleted: false };
          const said = outcome(() => bound.plan.filter?.(row, context));
          expect(said).toBe(outcome(() => written.filter?.(row, plain)));
          if (said !== true) continue;
          matches += 1;
          for (const condition of routing)
            expect([condition, contains(condition, cells[condition.columnIndex] ?? null)]).toEqual([condition, true]);
        }
      }),
      { numRuns: 400 },
    );
    expect(matches).toBeGreaterThan(100);
    expect(conditions).toBeGreaterThan(100);
  });

  test('texts that differ in their literals share one plan and keep their own values, whoever is asked in between', () => {
    const bounds = ["name LIKE 'a%' AND n IN (1, 2)", "name LIKE 'b%' AND n IN (3, 4)"].map(compile);
    const [first, second] = bounds;
    expect(first?.plan).toBe(second?.plan);
    expect(first?.literals).not.toBe(second?.literals);
    const row = (name: string, n: bigint): Row => NAMES.map((column) => (column === 'name' ? name : column === 'n' ? n : null));
    const contexts = bounds.map(contextOf);
    for (let round = 0; round < 2; round++) {
      const said = contexts.map((context) =>
        [row('ax', 2n), row('bx', 3n), row('bx', 1n)].map((cells) => first?.plan.filter?.({ cells, seq: 1n, deleted: false }, context)),
      );
      expect(said).toEqual([
        [true, false, false],
        [false, true, false],
      ]);
    }
  });

  test('a number and a text are not the same query, and a new version of the table is another plan', () => {
    expect(compile('n = 5').plan.shape).not.toBe(compile("n = '5'").plan.shape);
    expect(compile('n = 5').plan.shape).toBe(compile('(n=6)').plan.shape);
    const before = compile('n = 5').plan;
    table = tableOf(2);
    expect(compile('n = 5').plan).not.toBe(before);
    expect(compile('n = 5').plan.table).toBe(table);
  });

  test('what is wrong is told of the text as it was written', () => {
    const refusal = (where: string): unknown =>
      outcomeOf(
        () => compile(where),
        ({ code, position }) => [code, position?.offset],
      );
    expect(refusal("at = 'nonsense'")).toEqual(['SUBSCRIPTION_FAILED', textOf("at = 'nonsense'").indexOf('=')]);
    expect(refusal("name = 'a long text that is lifted' AND nope = 1")).toEqual(['SUBSCRIPTION_FAILED', expect.any(Number)]);
    expect(refusal('n = $1')).toEqual([expect.any(String), expect.any(Number)]);
  });
});

function outcomeOf<T>(work: () => T, told: (error: KalamError) => unknown = ({ code }) => code): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof KalamError) return told(error) as string;
    throw error;
  }
}

import { type Cell, plainType, type Row } from '@kalamdb/protocol';
import {
  type CatalogView,
  type ColumnInfo,
  type EvalContext,
  type InputRow,
  initParser,
  StatementCompiler,
  type TableInfo,
} from '@kalamdb/sql';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { executeSelect } from './execute-select.ts';

const column = (id: number, name: string, type: ColumnInfo['type'], system?: ColumnInfo['system']): ColumnInfo => ({
  id,
  name,
  type,
  nullable: name !== 'id' && system === undefined,
  primaryKey: name === 'id',
  default: undefined,
  system,
});

const table: TableInfo = {
  id: 1000,
  version: 1,
  namespace: 'app',
  name: 't',
  kind: 'shared',
  columns: [
    column(1, 'id', plainType('int')),
    column(2, 'n', plainType('int')),
    column(3, 'kind', plainType('text')),
    column(4, 'price', { kind: 'decimal', precision: 10, scale: 2 }),
    column(5, '_seq', plainType('bigint'), '_seq'),
    column(6, '_deleted', plainType('boolean'), '_deleted'),
  ],
};
const catalog: CatalogView = {
  hasNamespace: () => true,
  table: (namespace, name) => (namespace === 'app' && name === 't' ? table : undefined),
};
const compiler = new StatementCompiler({ plansMax: 100 });

const run = (sql: string, rows: Iterable<InputRow>, parameters: readonly Cell[] = []): Row[] => {
  const compiled = compiler.compile(sql, { catalog, namespace: 'app', parameters });
  if (compiled.kind !== 'plan' || compiled.plan.kind !== 'select') throw new Error('not a SELECT');
  const context: EvalContext = {
    parameters: compiled.parameters,
    nowMicros: 0n,
    userId: 'ann',
    role: 'user',
    snowflakeId: () => 1n,
    uuidV7: () => '',
    ulid: () => '',
    random: () => 0.5,
  };
  return executeSelect(compiled.plan, rows, context);
};

interface Item {
  readonly id: number;
  readonly n: number | null;
  readonly kind: string | null;
  readonly price: bigint | null;
}
const items: fc.Arbitrary<Item[]> = fc
  .uniqueArray(
    fc.record({
      id: fc.integer({ min: -50, max: 50 }),
      n: fc.option(fc.integer({ min: -3, max: 3 })),
      kind: fc.option(fc.constantFrom('a', 'b', 'c', '')),
      price: fc.option(fc.bigInt(-300n, 300n)),
    }),
    { selector: (item) => item.id, maxLength: 40 },
  )
  .map((list) => list.sort((a, b) => a.id - b.id));
const inputRows = (list: readonly Item[]): InputRow[] =>
  list.map((item, index) => ({ cells: [item.id, item.n, item.kind, item.price], seq: BigInt(index + 1), deleted: false }));

const sample: InputRow[] = inputRows([
  { id: 1, n: 10, kind: 'x', price: 1230n },
  { id: 2, n: null, kind: 'y', price: -705n },
  { id: 3, n: 10, kind: null, price: null },
]);

beforeAll(initParser);

/** PostgreSQL's order: NULLs are the largest value. */
const compareNullable = (a: Cell, b: Cell): number => {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
};

describe('against a slow and obvious interpreter', () => {
  const keys = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('id', 'n', 'kind', 'price'), descending: fc.boolean(), nulls: fc.option(fc.boolean()) }),
    {
      selector: (key) => key.name,
      minLength: 1,
      maxLength: 3,
    },
  );

  test('ORDER BY, LIMIT and OFFSET give the same rows in the same order', () => {
    fc.assert(
      fc.property(items, keys, fc.option(fc.nat(12)), fc.option(fc.nat(12)), (list, order, limit, offset) => {
        const by = order.map(
          (key) => `${key.name}${key.descending ? ' DESC' : ''}${key.nulls === null ? '' : key.nulls ? ' NULLS FIRST' : ' NULLS LAST'}`,
        );
        const sql = `SELECT id FROM t ORDER BY ${by.join(', ')}${limit === null ? '' : ` LIMIT ${limit}`}${offset === null ? '' : ` OFFSET ${offset}`}`;
        const sorted = [...list].sort((a, b) => {
          for (const key of order) {
            const [x, y] = [a[key.name as keyof Item], b[key.name as keyof Item]];
            const oneIsNull = (x === null) !== (y === null);
            const difference =
              oneIsNull && key.nulls !== null ? ((x === null) === key.nulls ? -1 : 1) : compareNullable(x, y) * (key.descending ? -1 : 1);
            if (difference !== 0) return difference;
          }
          return 0;
        });
        const wanted = sorted.slice(offset ?? 0, limit === null ? undefined : (offset ?? 0) + limit).map((item) => [item.id]);
        expect(run(sql, inputRows(list)), sql).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  test('GROUP BY, aggregates, FILTER and HAVING give the same groups', () => {
    const groupings = fc.uniqueArray(fc.constantFrom('n', 'kind'), { maxLength: 2 });
    fc.assert(
      fc.property(items, groupings, fc.integer({ min: 0, max: 3 }), (list, by, least) => {
        const selected = [
          ...by,
          'COUNT(*)',
          'COUNT(n)',
          'SUM(n)',
          'SUM(price)',
          'AVG(n)',
          'MIN(kind)',
          'MAX(price)',
          'COUNT(DISTINCT kind)',
          'COUNT(*) FILTER (WHERE n > 0)',
        ];
        const groupBy = by.length === 0 ? '' : `GROUP BY ${by.join(', ')}`;
        const sql = `SELECT ${selected.join(', ')} FROM t ${groupBy} HAVING COUNT(*) >= ${least}`;
        const groups = new Map<string, Item[]>(by.length === 0 ? [['', []]] : []);
        for (const item of list) {
          const name = by.map((key) => String(item[key])).join('|');
          groups.set(name, [...(groups.get(name) ?? []), item]);
        }
        const wanted = [...groups.values()]
          .filter((group) => group.length >= least)
          .map((group) => [...by.map((key) => group[0]?.[key] ?? null), ...aggregates(group)]);
        expect(run(sql, inputRows(list)), sql).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });

  const aggregates = (group: readonly Item[]): Cell[] => {
    const ns = group.flatMap((item) => item.n ?? []);
    const prices = group.flatMap((item) => item.price ?? []);
    const kinds = group.flatMap((item) => item.kind ?? []).sort();
    const total = ns.reduce((sum, n) => sum + n, 0);
    return [
      BigInt(group.length),
      BigInt(ns.length),
      ns.length === 0 ? null : BigInt(total),
      prices.length === 0 ? null : prices.reduce((sum, price) => sum + price, 0n),
      ns.length === 0 ? null : total / ns.length,
      kinds[0] ?? null,
      prices.length === 0 ? null : prices.reduce((best, price) => (price > best ? price : best)),
      BigInt(new Set(kinds).size),
      BigInt(ns.filter((n) => n > 0).length),
    ];
  };

  test('DISTINCT keeps the first of each', () => {
    fc.assert(
      fc.property(items, (list) => {
        const seen = new Map(list.map((item) => [`${item.n}|${item.kind}`, [item.n, item.kind]]));
        const got = run('SELECT DISTINCT n, kind FROM t', inputRows(list));
        expect(new Set(got.map(String))).toEqual(new Set([...seen.values()].map(String)));
        expect(got).toHaveLength(seen.size);
      }),
      { numRuns: 200 },
    );
  });
});

describe('names, types and order of results', () => {
  test.each([
    [
      'SELECT kind AS n, n AS k FROM t ORDER BY n',
      [
        ['x', 10],
        ['y', null],
        [null, 10],
      ],
    ],
    ['SELECT id FROM t ORDER BY price', [[2], [1], [3]]],
    ['SELECT n + 1 AS m FROM t ORDER BY m DESC NULLS LAST, id DESC', [[11n], [11n], [null]]],
    [
      'SELECT id, n FROM t ORDER BY 2, 1 DESC',
      [
        [3, 10],
        [1, 10],
        [2, null],
      ],
    ],
    [
      'SELECT n, COUNT(*) FROM t GROUP BY n ORDER BY COUNT(*) DESC',
      [
        [10, 2n],
        [null, 1n],
      ],
    ],
    [
      'SELECT n * 2 AS twice, SUM(id) + 1 FROM t GROUP BY twice ORDER BY twice',
      [
        [20n, 5n],
        [null, 3n],
      ],
    ],
    [
      'SELECT n % 3, MAX(id) FROM t GROUP BY 1 ORDER BY 1',
      [
        [1n, 3],
        [null, 2],
      ],
    ],
    ['SELECT id, n FROM t GROUP BY id ORDER BY id LIMIT 1', [[1, 10]]],
    ['SELECT COUNT(*) FROM t', [[3n]]],
    ['SELECT COUNT(*) FROM t WHERE id > 100', [[0n]]],
    ['SELECT SUM(n) FROM t WHERE id > 100', [[null]]],
    ['SELECT kind FROM t WHERE id > 100 GROUP BY kind', []],
    ['SELECT COUNT(*) FROM t HAVING COUNT(*) > 5', []],
    ['SELECT 1 + 1, CURRENT_USER', [[2n, 'ann']]],
    ["SELECT 'x' WHERE 1 = 2", []],
    ['SELECT * FROM t WHERE id = 1', [[1, 10, 'x', 1230n, 1n, false]]],
    ['SELECT x.* FROM app.t AS x WHERE x.id = 2', [[2, null, 'y', -705n, 2n, false]]],
    ['SELECT id FROM t LIMIT 1 OFFSET 1', [[2]]],
    ['SELECT id FROM t LIMIT NULL OFFSET 2', [[3]]],
    ['SELECT DISTINCT n FROM t ORDER BY n DESC LIMIT 1', [[null]]],
    ['SELECT id FROM t ORDER BY _seq DESC LIMIT 1', [[3]]],
    ["SELECT STRING_AGG(kind, '-'), BOOL_AND(n > 5), BOOL_OR(n > 50) FROM t", [['x-y', true, false]]],
    ['SELECT STDDEV_POP(n), VARIANCE(id) FROM t', [[0, 1]]],
    ['SELECT SUM(DISTINCT n), COUNT(1), COUNT(NULL) FROM t', [[10n, 3n, 0n]]],
  ])('%s', (sql, rows) => {
    expect(run(sql, sample)).toEqual(rows);
  });

  test('LIMIT and OFFSET take parameters and refuse negative numbers', () => {
    expect(run('SELECT id FROM t LIMIT $1 OFFSET $2', sample, [1n, 1n])).toEqual([[2]]);
    expect(() => run('SELECT id FROM t LIMIT $1', sample, [-1n])).toThrow('LIMIT must not be negative');
  });

  test('reading stops when the answer is complete', () => {
    let read = 0;
    function* rows(): Iterable<InputRow> {
      for (const row of sample) {
        read += 1;
        yield row;
      }
    }
    expect(run('SELECT id FROM t ORDER BY id LIMIT 1', rows())).toEqual([[1]]);
    expect(read).toBe(1);
  });

  test.each([
    ['SELECT id FROM t GROUP BY n', "column 'id' must appear in the GROUP BY clause"],
    ['SELECT id FROM t WHERE COUNT(*) > 1', 'aggregate functions are not allowed in WHERE'],
    ['SELECT SUM(COUNT(*)) FROM t', 'aggregate functions are not allowed'],
    ['SELECT COUNT(*) FROM t GROUP BY COUNT(*)', 'not allowed in GROUP BY'],
    ['SELECT DISTINCT n FROM t ORDER BY id', 'must appear in select list'],
    ['SELECT id FROM t ORDER BY 3', 'position 3 is not in select list'],
    ['SELECT nope FROM t', "Column 'nope' does not exist"],
    ['SELECT other.id FROM t', "Column 'other.id' does not exist"],
    ['SELECT id FROM missing', "table 'app.missing' not found"],
    ['SELECT id, name', "Column 'id' does not exist"],
    ['SELECT * ', 'no table specified'],
    ['SELECT NO_SUCH_FUNCTION(1) AS a', 'no_such_function'],
    ['SELECT id FROM t WHERE n', 'must be BOOLEAN'],
    ['SELECT SUM(kind) FROM t', 'SUM does not take'],
    ['SELECT id FROM t WHERE kind > 5', 'cannot compare'],
    ['SELECT $2', 'Parameter count mismatch: expected 2 parameters, got 0'],
    ['SELECT id FROM t a JOIN t b ON a.id = b.id', 'Not implemented'],
    ['SELECT ROW_NUMBER() OVER (ORDER BY id) FROM t', 'Not implemented'],
  ])('%s is refused', (sql, message) => {
    expect(() => run(sql, sample)).toThrow(message);
  });

  test('an error says where it is', () => {
    expect(() => run('SELECT id\nFROM t WHERE nope = 1', sample)).toThrow(
      expect.objectContaining({ position: { offset: 23, line: 2, column: 14 } }),
    );
  });
});

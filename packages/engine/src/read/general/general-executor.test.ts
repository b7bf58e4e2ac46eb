import { type DataType, KalamError, kalamError, type Row, systemClock, systemTimers } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { anyType, cellOf } from '../../../../protocol/src/values/cell.arbitrary.ts';
import { Slices } from '../../slices/slices.ts';
import { GeneralExecutor } from './general-executor.ts';
import { GeneralWorld, type GivenQuery } from './general-world.fixture.ts';

const world = new GeneralWorld({ cores: 2 });

afterAll(() => world.executor.close());

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KalamError) return error.code;
    throw error;
  }
  return 'none';
}

const outcome = (text: string, given?: GivenQuery): Promise<string> => failure(world.run(text, given));

const LONG = 'SELECT count(*) FROM range(10000000) a, range(10000000) b';
const INT: DataType = { kind: 'int' };
const TEXT: DataType = { kind: 'text' };

test('cells of every type come back as they were, with the type and the flags of their column', async () => {
  const tables = fc.array(anyType, { minLength: 1, maxLength: 6 }).chain((types) =>
    fc.record({
      types: fc.constant(types),
      rows: fc.array(fc.tuple(...types.map((type) => fc.option(cellOf(type), { freq: 5 }))) as fc.Arbitrary<Row>, { maxLength: 20 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(tables, async (table) => {
      const { columns, rows } = await world.run(
        `SELECT ${table.types.map((_, index) => `k."c${index}", `).join('')}k."_seq", k."_deleted" FROM k0 k ORDER BY k."_seq"`,
        {
          tables: [table],
          outputs: ([made]) => (made?.columns ?? []).map((column) => ({ name: column.name, column, type: undefined })),
        },
      );
      expect(rows).toEqual(table.rows.map((row, index) => [...row, BigInt(index), false]));
      expect(columns.slice(0, -2).map(({ type }) => type)).toEqual(table.types);
    }),
    { numRuns: 150 },
  );
});

test('many and large rows arrive whole, tombstones do not, masked cells are masked', async () => {
  const rows = Array.from({ length: 5000 }, (_, index): Row => [index, index % 7 === 0 ? null : `${index} ${'é'.repeat(index % 900)}`]);
  const given = { tables: [{ types: [INT, TEXT], rows, deleted: [1, 4999] }] };
  expect(await world.rows('SELECT count(*), sum(k."c0"), sum(length(k."c1")), max(k."_seq") FROM k0 k', given)).toEqual([
    [
      4998n,
      BigInt(rows.reduce((sum, [index], at) => sum + (at === 1 || at === 4999 ? 0 : Number(index)), 0)),
      BigInt(rows.reduce((sum, [, text], at) => sum + (at === 1 || at === 4999 ? 0 : [...String(text ?? '')].length), 0)),
      4998n,
    ],
  ]);
  const masked = {
    tables: [
      {
        types: [INT, TEXT],
        rows: [
          [1, 'secret'],
          [2, null],
        ],
        maskedCells: [1],
      },
    ],
  };
  expect(await world.rows('SELECT k."c1" FROM k0 k ORDER BY k."c0"', masked)).toEqual([['***'], [null]]);
});

test.each([
  ['true', { kind: 'boolean' }, true],
  ['CAST(7 AS TINYINT)', { kind: 'bigint' }, 7n],
  ['7', { kind: 'bigint' }, 7n],
  ['CAST(18446744073709551615 AS UBIGINT) // 4', { kind: 'bigint' }, 4611686018427387903n],
  ['sum(7)', { kind: 'bigint' }, 7n],
  ['1.25', { kind: 'double' }, 1.25],
  ['-0.05', { kind: 'double' }, -0.05],
  ['avg(3)', { kind: 'double' }, 3],
  ['CAST(0.1 AS FLOAT)', { kind: 'double' }, Math.fround(0.1)],
  ["'a' || 'b'", { kind: 'text' }, 'ab'],
  ["DATE '1970-01-03'", { kind: 'date' }, 2],
  ["TIME '00:00:01'", { kind: 'time' }, 1_000_000],
  ["TIMESTAMP '1970-01-01 00:00:01'", { kind: 'timestamp' }, 1_000_000n],
  ["TIMESTAMP_S '1970-01-01 00:00:01'", { kind: 'timestamp' }, 1_000_000n],
  ["TIMESTAMP_MS '1970-01-01 00:00:01.5'", { kind: 'timestamp' }, 1_500_000n],
  ["TIMESTAMP_NS '1970-01-01 00:00:01.5'", { kind: 'timestamp' }, 1_500_000n],
  ["TIMESTAMPTZ '1970-01-01 00:00:01+00'", { kind: 'timestamp' }, 1_000_000n],
  ["CAST('00000000-0000-0000-0000-00000000000f' AS UUID)", { kind: 'uuid' }, '00000000-0000-0000-0000-00000000000f'],
  ["'\\x01\\x02'::BLOB", { kind: 'bytes' }, new Uint8Array([1, 2])],
  ['[1, 2]', { kind: 'text' }, '[1, 2]'],
  ['CAST([1, 2] AS FLOAT[2])', { kind: 'embedding', dimension: 2 }, new Float32Array([1, 2])],
] as const)('%s is computed as %j', async (text, type, cell) => {
  const { columns, rows } = await world.run(`SELECT ${text} AS x`);
  expect(columns).toEqual([{ name: 'x', type, flags: [] }]);
  expect(rows).toEqual([[cell]]);
});

test.each([
  ['SELECT CAST(9223372036854775808 AS HUGEINT)', 'VALUE_OUT_OF_RANGE'],
  ["SELECT CAST('inf' AS DOUBLE)", 'VALUE_OUT_OF_RANGE'],
  ["SELECT TIMESTAMP 'infinity'", 'VALUE_OUT_OF_RANGE'],
  ['SELECT 9223372036854775807 + 1', 'VALUE_OUT_OF_RANGE'],
  ['SELECT CAST(99999999999 AS INT)', 'VALUE_OUT_OF_RANGE'],
  ["SELECT CAST('x' AS INT)", 'INVALID_TEXT'],
  ["SELECT CAST('2020-13-01' AS DATE)", 'INVALID_TEXT'],
  ["SELECT CAST('x' AS TIMESTAMP)", 'INVALID_TEXT'],
  ["SELECT CAST('x' AS UUID)", 'INVALID_TEXT'],
  ["SELECT CAST('x' AS BOOLEAN)", 'INVALID_TEXT'],
  ["SELECT error('division by zero')", 'DIVISION_BY_ZERO'],
  ['SELECT nope FROM k0', 'COLUMN_NOT_FOUND'],
  ['SELECT z.nope FROM k0 z', 'COLUMN_NOT_FOUND'],
  ['SELECT zz.c0 FROM k0 z', 'TABLE_NOT_FOUND'],
  ['SELECT c0 FROM k0 a, k0 b WHERE a."c0" = 1', 'COLUMN_AMBIGUOUS'],
  ['SELECT k."c0", count(*) FROM k0 k', 'AGGREGATE_MISUSE'],
  ['SELECT k."c0" FROM k0 k WHERE count(*) > 1', 'AGGREGATE_MISUSE'],
  ['SELECT sum(count(*)) FROM k0', 'AGGREGATE_MISUSE'],
  ['SELECT (SELECT x FROM (VALUES (1), (2)) v(x))', 'SUBQUERY_ROWS'],
  ['SELECT 1 UNION SELECT 1, 2', 'TYPE_MISMATCH'],
  ["SELECT DATE '2020-01-01' + DATE '2020-01-01'", 'TYPE_MISMATCH'],
  ['SELECT nofunction(1)', 'FUNCTION_NOT_FOUND'],
  ['SELECT ln(-1)', 'INVALID_ARGUMENT'],
  ['SELECT sqrt(-1)', 'INVALID_ARGUMENT'],
  ["SELECT repeat('x', 50000000)", 'QUERY_TOO_LARGE'],
  ['SELECT * FROM range(2000000)', 'QUERY_TOO_LARGE'],
  ['SELECT regexp_matches(k."c0"::text, \'(\') FROM k0 k', 'QUERY_FAILED'],
  ['SELECT 1; SELECT 2', 'QUERY_FAILED'],
  ['DROP TABLE k0', 'INTERNAL_ERROR'],
])('%s fails with %s', async (text, code) => {
  expect(await outcome(text, { tables: [{ types: [INT], rows: [[1], [2]] }] })).toBe(code);
});

test('what is left of an error of the engine calls tables by their own names', async () => {
  await expect(world.run("SELECT error('k0 and k1')", { tables: [{ types: [INT], rows: [] }] })).rejects.toMatchObject({
    code: 'QUERY_FAILED',
    message: expect.stringContaining('app.t1000 and k1'),
  });
});

test('parameters are bound in their order', async () => {
  const given: GivenQuery = { parameters: [1n, 'x', null, 1.5, true] };
  expect(await world.rows('SELECT $1 + 1, $2, $3, $4, $5', given)).toEqual([[2n, 'x', null, 1.5, true]]);
});

test('an answer ends at its bound', async () => {
  expect(await world.rows('SELECT * FROM range(10000000)', { rowsMax: 3 })).toEqual([[0n], [1n], [2n]]);
  expect(await world.rows('SELECT * FROM range(10000000)', { rowsMax: 0 })).toEqual([]);
});

test('tables of one query are not there for another', async () => {
  const tables = [{ types: [INT], rows: [[1]] }];
  const both = [outcome('SELECT sum(a."c0") FROM k0 a, range(100000)', { tables }), outcome('SELECT * FROM k0')];
  expect(await Promise.all(both)).toEqual(['none', 'QUERY_FAILED']);
});

test('a query that takes too long ends, and so does one that nobody waits for; both leave their slot', async () => {
  const hasty = new GeneralWorld({ cores: 1, timeoutMillis: 300 });
  // As often as it takes the thread to start.
  while ((await failure(hasty.run('SELECT 1'))) !== 'none');
  expect(await failure(hasty.run(LONG))).toBe('STATEMENT_TIMEOUT');
  const gone = new AbortController();
  const answer = failure(hasty.run(LONG, { signal: gone.signal }));
  systemTimers.after(30, () => gone.abort(kalamError('QUERY_INTERRUPTED')), { keepAlive: true });
  expect(await answer).toBe('QUERY_INTERRUPTED');
  expect(await hasty.rows('SELECT 2')).toEqual([[2n]]);
  expect(hasty.executor.load).toEqual({ running: 0, waiting: 0 });
  await hasty.executor.close();
});

test('one user leaves a core to the others; closing ends what runs and what waits', async () => {
  const shared = new GeneralWorld({ cores: 2 });
  const mine = [1, 2, 3].map(() => failure(shared.run(LONG)));
  const others = await shared.rows('SELECT 5', { principal: { userId: 'bob', role: 'user' } });
  expect(others).toEqual([[5n]]);
  expect(shared.executor.load).toEqual({ running: 1, waiting: 2 });
  await shared.executor.close();
  expect(await Promise.all(mine)).toEqual(['SHUTTING_DOWN', 'SHUTTING_DOWN', 'SHUTTING_DOWN']);
  expect(await failure(shared.run('SELECT 1'))).toBe('SHUTTING_DOWN');
});

test('more than the waiting room holds are refused', async () => {
  const small = new GeneralWorld({ cores: 1 });
  const running = [failure(small.run(LONG))];
  for (let count = 0; count < 200; count += 1) running.push(failure(small.run(LONG)));
  expect(await failure(small.run('SELECT 1'))).toBe('QUERIES_BUSY');
  await small.executor.close();
  expect(new Set(await Promise.all(running))).toEqual(new Set(['SHUTTING_DOWN']));
});

test('what does not fit into memory fails, in reading as in computing, and the next query has the memory again', async () => {
  const small = new GeneralWorld({ cores: 1, memoryBytesMax: 16 * 1024 * 1024 });
  const rows = Array.from({ length: 40_000 }, (_, index): Row => [index, `${index} `.repeat(100)]);
  const given = { tables: [{ types: [INT, TEXT], rows }] };
  expect(await failure(small.run('SELECT count(k."c1"), sum(k."c0") FROM k0 k', given))).toBe('QUERY_TOO_LARGE');
  expect(
    await failure(small.run('SELECT count(*) FROM (SELECT DISTINCT a.range + b.range * 10000 FROM range(10000) a, range(1000) b) x')),
  ).toBe('QUERY_TOO_LARGE');
  expect(await small.rows('SELECT count(*) FROM k0 k', given)).toEqual([[40_000n]]);
  await small.executor.close();
});

test('an executor that is not used loads nothing', async () => {
  const environment = { clock: systemClock, timers: systemTimers };
  const idle = new GeneralExecutor({ slices: new Slices(environment), ...environment });
  expect(idle.isLoaded).toBe(false);
  await idle.close();
});

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type DataType, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NUMBER_FUNCTIONS } from '../expression/functions/number-functions.ts';
import { rounded } from './rounding.ts';

let connection: DuckDBConnection;

beforeAll(async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
});

afterAll(() => connection.closeSync());

const double = plainType('double');
type Pair = readonly [value: number, digits: number];

/** What the compiled executor has for a number and a number of digits. */
function compiled(name: 'round' | 'trunc', [value, digits]: Pair): number {
  const overload = NUMBER_FUNCTIONS[name]?.find(({ arguments: [first, second] }) => first === 'number' && second === 'integer');
  if (overload === undefined || !('run' in overload.body)) throw new Error(`no ${name}`);
  return (overload.body.run as (value: number, digits: number) => number)(value, digits);
}

/** What DuckDB makes of what is written for it. */
async function general(name: 'round' | 'trunc', pairs: readonly Pair[]): Promise<readonly number[]> {
  const types = { result: double, operands: [double, plainType('bigint')], constants: [undefined, undefined], nowMicros: 0n };
  const text = rounded(name)(['v', 'd'], types);
  const rows = pairs.map(
    ([value, digits], index) => `(${index}, CAST('${Object.is(value, -0) ? '-0' : value}' AS DOUBLE), CAST(${digits} AS BIGINT))`,
  );
  const result = await connection.runAndReadAll(`SELECT ${text} FROM (VALUES ${rows.join(', ')}) t(i, v, d) ORDER BY i`);
  return result.getRows().map(([cell]) => Number(cell));
}

test.each<['round' | 'trunc', Pair, number]>([
  ['round', [1.005, 2], 1.01],
  ['round', [0.285, 2], 0.29],
  ['round', [-1.255, 2], -1.26],
  ['round', [2.5, 0], 3],
  ['round', [-0.4, 0], -0],
  ['round', [155, -1], 160],
  ['round', [155, -3], 0],
  ['round', [1e300, 2], 1e300],
  ['round', [1234567890123456.5, 0], 1234567890123457],
  ['round', [1.25e-20, 21], 1.3e-20],
  ['round', [4.35e25, -24], 4.4e25],
  ['trunc', [0.29, 2], 0.29],
  ['trunc', [-0.58, 2], -0.58],
  ['trunc', [0.289999999, 2], 0.28],
  ['trunc', [-0.009, 2], -0],
  ['trunc', [1999, -3], 1000],
])('%s %j', async (name, pair, expected) => {
  expect(compiled(name, pair)).toBe(expected);
  expect(await general(name, [pair])).toEqual([expected]);
});

/** Numbers of few digits, and their neighbours: ties, and what is nearly one. */
const short = fc
  .tuple(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.integer({ min: -12, max: 12 }), fc.constantFrom(-1, 0, 0, 1))
  .map(([whole, power, step]) => {
    const value = Number(`${whole}e${power}`);
    return value + (step * Math.abs(value) * Number.EPSILON) / 2;
  });
const pair: fc.Arbitrary<Pair> = fc.tuple(
  fc.oneof(short, fc.double({ noNaN: true, noDefaultInfinity: true })),
  fc.oneof(fc.integer({ min: -6, max: 12 }), fc.integer({ min: -310, max: 310 })),
);

test.each(['round', 'trunc'] as const)('%s gives the same in both executors, to the last bit', async (name) => {
  await fc.assert(
    fc.asyncProperty(fc.array(pair, { minLength: 1, maxLength: 400, size: 'max' }), async (pairs) => {
      const finite = pairs.filter((one) => {
        try {
          compiled(name, one);
          return true;
        } catch {
          return false;
        }
      });
      const results = await general(name, finite);
      for (const [index, one] of finite.entries()) expect([one, results[index]]).toEqual([one, compiled(name, one)]);
    }),
    { numRuns: 10 },
  );
});

test('a decimal is rounded to as many digits as each row says', async () => {
  const decimal: DataType = { kind: 'decimal', precision: 6, scale: 2 };
  const types = { result: decimal, operands: [decimal, plainType('bigint')], constants: [undefined, undefined], nowMicros: 0n };
  const text = rounded('round')(["CAST('155.55' AS DECIMAL(6,2))", 'd'], types);
  const result = await connection.runAndReadAll(
    `SELECT ${text} FROM generate_series(-5, 4) t(d) UNION ALL SELECT ${text} FROM (SELECT CAST(NULL AS BIGINT) AS d)`,
  );
  const rounds = ['0.00', '0.00', '0.00', '200.00', '160.00', '156.00', '155.60', '155.55', '155.55', '155.55', null];
  expect(result.getRowsJson()).toEqual(rounds.map((cell) => [cell]));
});

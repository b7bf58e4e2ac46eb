import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { KalamError, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TIME_FUNCTIONS } from '../expression/functions/time-functions.ts';
import { isTruncationUnit, TIME_FIELDS } from '../expression/functions/time-units.ts';
import type { CallWriter } from './call-writer.ts';
import { datePart, dateTrunc } from './time-calls.ts';

let connection: DuckDBConnection;

beforeAll(async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
});

afterAll(() => connection.closeSync());

type Name = 'date_trunc' | 'date_part';
const WRITERS: Readonly<Record<Name, CallWriter>> = { date_trunc: dateTrunc, date_part: datePart };

function compiled(name: Name, word: string, micros: bigint): unknown {
  const overload = TIME_FUNCTIONS[name]?.find(({ arguments: [, second] }) => second === 'instant');
  if (overload === undefined || !('run' in overload.body)) throw new Error(`no ${name}`);
  return (overload.body.run as (word: string, micros: bigint) => unknown)(word, micros);
}

/** As DuckDB has it: the word is written in the query, or a column. */
async function general(name: Name, word: string, instants: readonly bigint[], isWritten = true): Promise<readonly unknown[]> {
  const result = plainType(name === 'date_trunc' ? 'timestamp' : 'double');
  const types = { result, operands: [plainType('text'), plainType('timestamp')], nowMicros: 0n };
  const text = WRITERS[name]([isWritten ? `'${word}'` : 'w', 't'], { ...types, constants: [isWritten ? word : undefined, undefined] });
  const rows = instants.map((micros, index) => `(${index}, make_timestamp(CAST(${micros} AS BIGINT)), '${word}')`);
  const shown = name === 'date_trunc' ? `epoch_us(${text})` : text;
  const read = await connection.runAndReadAll(`SELECT ${shown} FROM (VALUES ${rows.join(', ')}) v(i, t, w) ORDER BY i`);
  return read.getRows().map(([cell]) => cell);
}

const DAY = 86_400_000_000n;
const instant = fc.oneof(
  fc.bigInt({ min: -2_400_000n * DAY, max: 1_000_000n * DAY }),
  // Around the beginnings of years, the first one above all.
  fc
    .tuple(fc.integer({ min: -4000, max: 4000 }), fc.integer({ min: -2, max: 2 }))
    .map(([year, step]) => BigInt(new Date(0).setUTCFullYear(year, 0, 1)) * 1000n + BigInt(step)),
);

test.each([...TIME_FIELDS.keys()])('%s is the same in both executors', async (field) => {
  const names: readonly Name[] = isTruncationUnit(field) ? ['date_trunc', 'date_part'] : ['date_part'];
  await fc.assert(
    fc.asyncProperty(fc.array(instant, { minLength: 1, maxLength: 100, size: 'max' }), fc.boolean(), async (instants, isWritten) => {
      for (const name of names) {
        const results = await general(name, field, instants, isWritten);
        for (const [index, micros] of instants.entries()) {
          const expected = compiled(name, field, micros);
          if (field === 'julian') expect(results[index]).toBeCloseTo(Number(expected), 6);
          else expect([micros, results[index]]).toEqual([micros, expected]);
        }
      }
    }),
    { numRuns: 3 },
  );
});

/** Answers of PostgreSQL 15 for 0050-03-01 BC, 0001-06-01 BC and 0101-01-01 BC. */
test.each<[Name, string, readonly (string | number)[]]>([
  ['date_trunc', 'century', ['-000099', '-000099', '-000199']],
  ['date_trunc', 'decade', ['-000050', '0000', '-000100']],
  ['date_trunc', 'millennium', ['-000999', '-000999', '-000999']],
  ['date_part', 'years', [-50, -1, -101]],
  ['date_part', 'decade', [-5, 0, -10]],
  ['date_part', 'c', [-1, -1, -2]],
  ['date_part', 'isoyear', [-50, -1, -101]],
])('%s of %s before Christ', async (name, word, expected) => {
  const instants = [new Date('-000049-03-01'), new Date('0000-06-01'), new Date('-000100-01-01')].map(
    (date) => BigInt(date.getTime()) * 1000n,
  );
  const shown = (cell: unknown): unknown =>
    typeof cell === 'bigint' ? new Date(Number(cell / 1000n)).toISOString().replace(/-01-01T.*/, '') : cell;
  expect(instants.map((micros) => shown(compiled(name, word, micros)))).toEqual(expected);
  expect((await general(name, word, instants)).map(shown)).toEqual(expected);
});

test.each([true, false])('a unit that is none is refused where it meets a time', async (isWritten) => {
  expect(() => compiled('date_trunc', 'dow', 0n)).toThrow(KalamError);
  await expect(general('date_trunc', 'dow', [0n], isWritten)).rejects.toThrow('unit "dow" not recognized for type TIMESTAMP');
  await expect(general('date_part', 'era', [0n], isWritten)).rejects.toThrow('unit "era" not recognized for type TIMESTAMP');
});

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type Cell, cellFromText, cellToText, type DataType, plainType, sqlTypeName } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { conversion } from '../expression/conversion.ts';
import { castText } from './duckdb-text.ts';

let connection: DuckDBConnection;

beforeAll(async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
});

afterAll(() => connection.closeSync());

const TEXTS = [
  ...[
    '2024-01-31',
    '2024-1-5',
    ' 2024-01-31 ',
    '0044-03-15 BC',
    '0001-01-01',
    '0000-01-01',
    '2024-02-30',
    '2024-13-01',
    '12024-01-31',
    '24-01-31',
  ],
  ...[
    '2024-01-31 10:20',
    '2024-01-31T10:20:30.5',
    '2024-01-31 10:20:30+02',
    '2024-01-31 10:20:30-0530',
    '2024-01-31 10:20:30 +02:15',
    '2024-01-31t10:20z',
  ],
  ...['0044-03-15 10:20:30 BC', '2024-01-31 24:00', '2024-01-31 10:60', '2024-01-31 10:20:60', '2024-01-31 1:02', '2024-01-31  10:20'],
  ...['10:20', '9:05:07', '10:20:30.123456', '10:20:30Z', '10:20:30-05', '24:00', '10', '10:2', '10:20:61', '10:20 PM'],
  ...[
    '',
    'epoch',
    'infinity',
    '-infinity',
    'now',
    '2024/01/31',
    '20240131',
    '2024-01',
    'Jan 31 2024',
    '1.5',
    '-7',
    '+7',
    ' 7 ',
    '7 7',
    '99999',
    '1e3',
    '0x10',
  ],
  ...[
    '0192F0C4-6D3B-7C55-8A17-1F2E3D4C5B6A',
    '0192f0c46d3b7c558a171f2e3d4c5b6a',
    '0192f0c4',
    '\\x00fF',
    '\\x0',
    'é',
    '.5',
    '5.',
    '9.5e-4',
    '4.9e-3',
    '5e-3',
    '1_000',
    '1e400',
    '1e-400',
    'NaN',
    'Infinity',
    '-1.5E-3',
  ],
  ...['99999999999999999999', '-9223372036854775808', '9223372036854775808', 'true', ' YES ', 'of', 'off', 'tr', '2'],
];

const KINDS = ['date', 'timestamp', 'time', 'smallint', 'int', 'bigint', 'boolean', 'double', 'float', 'uuid', 'bytes'] as const;
const TYPES: readonly DataType[] = [...KINDS.map((kind) => plainType(kind)), { kind: 'decimal', precision: 8, scale: 2 }];

test.each(TYPES.map((type) => [sqlTypeName(type), type] as const))('texts become %s as in the compiled executor', async (_, type) => {
  const text = plainType('text');
  const shown = (cell: Cell): string => (cell === null ? 'NULL' : cellToText(cell, type));
  const expected = TEXTS.map((written) => {
    try {
      return [written, shown(cellFromText(written, type))];
    } catch {
      return [written, 'refused'];
    }
  });
  const found: string[][] = [];
  for (const written of TEXTS) {
    const cast = castText(castText('v', text, type), type, text);
    const result = await connection.runAndReadAll(`SELECT ${cast} FROM (VALUES ('${written}')) t(v)`).catch(() => undefined);
    found.push([written, result === undefined ? 'refused' : String(result.getRows()[0]?.[0])]);
  }
  expect(found).toEqual(expected);
});

test('a floating-point number becomes the decimal that its text is', async () => {
  const decimal: DataType = { kind: 'decimal', precision: 20, scale: 2 };
  const convert = conversion(plainType('double'), decimal, 'explicit');
  const numbers = fc.array(fc.double({ min: -9e17, max: 9e17, noNaN: true }), { minLength: 1, maxLength: 200, size: 'max' });
  await fc.assert(
    fc.asyncProperty(numbers, async (values) => {
      const shown = values.map((value) => `(CAST('${value}' AS DOUBLE))`).join(', ');
      const result = await connection.runAndReadAll(`SELECT ${castText('v', plainType('double'), decimal)} FROM (VALUES ${shown}) t(v)`);
      const found = result.getRows().map(([cell]) => String(cell));
      expect(found).toEqual(values.map((value) => cellToText(convert?.(value) ?? 0n, decimal)));
    }),
    { numRuns: 10 },
  );
  const least = castText("CAST('-9223372036854775808' AS DOUBLE)", plainType('double'), { kind: 'decimal', precision: 20, scale: 0 });
  expect(String((await connection.runAndReadAll(`SELECT ${least}`)).getRows()[0]?.[0])).toBe('-9223372036854776000');
  const large = castText("CAST('1e300' AS DOUBLE)", plainType('double'), decimal);
  await expect(connection.runAndReadAll(`SELECT ${large}`)).rejects.toThrow('Overflow in cast of DECIMAL(20,2)');
});

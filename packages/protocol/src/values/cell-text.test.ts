import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KalamError } from '../errors/kalam-error.ts';
import { anyType, cellOf } from './cell.arbitrary.ts';
import { checkCell } from './cell-check.ts';
import { cellFromText, cellToText } from './cell-text.ts';
import type { DataType, NonNullCell } from './data-type.ts';
import { parseTypeName, plainType } from './type-name.ts';

const decimal = (precision: number, scale: number): DataType => ({ kind: 'decimal', precision, scale });
const typeOf = (name: string): DataType => {
  const [, word = '', parameters = ''] = /^([a-z]+)(?:\((.*)\))?$/.exec(name) ?? [];
  return parseTypeName(word, parameters === '' ? [] : parameters.split(',').map(Number));
};

function outcome(text: string, type: DataType): NonNullCell | { readonly error: string } {
  try {
    return cellFromText(text, type);
  } catch (error) {
    return { error: error instanceof KalamError ? error.code : String(error) };
  }
}

describe('round trip', () => {
  test('any cell comes back from its text, and is one of its type', () => {
    fc.assert(
      fc.property(
        anyType.chain((type) => fc.tuple(fc.constant(type), cellOf(type))),
        ([type, cell]) => {
          checkCell(cell, type);
          const text = cellToText(cell, type);
          expect([cellFromText(text, type)]).toStrictEqual([cell]);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test('any text is a cell of the type or refused with a code of its own', () => {
    const words = fc.constantFrom(
      '1',
      '-',
      '.',
      'e',
      '9',
      ' ',
      ':',
      '2025',
      'T',
      'Z',
      '+',
      '[',
      ']',
      ',',
      '\\x',
      'BC',
      'nan',
      '\ud800',
      '{',
    );
    fc.assert(
      fc.property(
        anyType,
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(words).map((parts) => parts.join('')),
        ),
        (type, text) => {
          const result = outcome(text, type);
          if (typeof result === 'object' && 'error' in result) {
            expect(['INVALID_TEXT', 'VALUE_OUT_OF_RANGE', 'EMBEDDING_DIMENSION']).toContain(result.error);
          } else {
            checkCell(result, type);
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('accepted texts', () => {
  test.each<[string, string, NonNullCell]>([
    ['boolean', ' TRUE ', true],
    ['boolean', 't', true],
    ['boolean', 'yes', true],
    ['boolean', 'on', true],
    ['boolean', '1', true],
    ['boolean', 'False', false],
    ['boolean', 'f', false],
    ['boolean', 'no', false],
    ['boolean', 'off', false],
    ['boolean', '0', false],
    ['smallint', '-32768', -32768],
    ['int', ' +0042 ', 42],
    ['int', '2147483647', 2147483647],
    ['bigint', '9223372036854775807', 9223372036854775807n],
    ['bigint', '-9223372036854775808', -9223372036854775808n],
    ['bigint', '-0', 0n],
    ['bigint', `${'0'.repeat(5_000)}7`, 7n],
    ['float', '0.1', Math.fround(0.1)],
    ['double', '.5', 0.5],
    ['double', '5.', 5],
    ['double', '-1.5e-3', -0.0015],
    ['double', '1e-400', 0],
    ['decimal(5,2)', '2.345', 235n],
    ['decimal(5,2)', '-2.345', -235n],
    ['decimal(5,2)', '2.3449999999', 234n],
    ['decimal(5,2)', '1.2e2', 12000n],
    ['decimal(5,2)', '0.004', 0n],
    ['decimal(5,2)', '0.005', 1n],
    ['decimal(5,2)', '5e-3', 1n],
    ['decimal(5,2)', '999.994', 99999n],
    ['decimal(5,2)', '-0', 0n],
    ['decimal(38,0)', '9'.repeat(38), 10n ** 38n - 1n],
    ['decimal(10)', '12', 12n],
    ['timestamp', '2025-01-31 10:00:00', 1738317600000000n],
    ['timestamp', '2025-01-31T10:00:00.5', 1738317600500000n],
    ['timestamp', '2025-01-31T10:00:00.123456789Z', 1738317600123457n],
    ['timestamp', '2025-01-31T10:00:00+02:00', 1738310400000000n],
    ['timestamp', '2025-01-31 10:00:00-0530', 1738337400000000n],
    ['timestamp', '2025-01-31 10:00:00 +02', 1738310400000000n],
    ['timestamp', '2025-01-31t10:00z', 1738317600000000n],
    ['timestamp', '2025-01-31', 1738281600000000n],
    ['datetime', '1969-12-31 23:59:59.999999', -1n],
    ['timestamp', '294247-01-10 04:00:54.775807', 2n ** 63n - 1n],
    ['date', '2025-01-31', 20119],
    ['date', '2024-02-29', 19782],
    ['date', '1969-12-31', -1],
    ['date', '2025-01-31T23:30:00-05:00', 20119],
    ['time', '10:00', 36000000000],
    ['time', '10:00:00.5', 36000500000],
    ['time', '23:59:59.999999', 86399999999],
    ['time', '2024-01-31 10:00:00.5', 36000500000],
    ['time', '0044-03-15T10:00:00 BC', 36000000000],
    ['time', '10:00+02', 36000000000],
    ['uuid', '0192F0C4-6D3B-7C55-8A17-1F2E3D4C5B6A', '0192f0c4-6d3b-7c55-8a17-1f2e3d4c5b6a'],
    ['uuid', '0192f0c46d3b7c558a171f2e3d4c5b6a', '0192f0c4-6d3b-7c55-8a17-1f2e3d4c5b6a'],
    ['bytes', '\\x00fF', Uint8Array.of(0, 255)],
    ['bytes', '\\x', Uint8Array.of()],
    ['bytes', 'é', Uint8Array.of(0xc3, 0xa9)],
    ['embedding(3)', '[1.0, 0, -0.5]', Float32Array.of(1, 0, -0.5)],
    ['text', ' as it is \0', ' as it is \0'],
    ['json', '{not checked', '{not checked'],
  ])('%s %j', (type, text, cell) => {
    expect([cellFromText(text, typeOf(type))]).toStrictEqual([cell]);
  });
});

describe('refused texts', () => {
  test.each<[string, string, string]>([
    ['boolean', 'maybe', 'INVALID_TEXT'],
    ['smallint', '32768', 'VALUE_OUT_OF_RANGE'],
    ['int', 'not_a_number', 'INVALID_TEXT'],
    ['int', '1.7', 'INVALID_TEXT'],
    ['int', '', 'INVALID_TEXT'],
    ['int', '-2147483649', 'VALUE_OUT_OF_RANGE'],
    ['bigint', '9223372036854775808', 'VALUE_OUT_OF_RANGE'],
    ['bigint', '9'.repeat(1_000_000), 'VALUE_OUT_OF_RANGE'],
    ['float', '1e39', 'VALUE_OUT_OF_RANGE'],
    ['double', 'NaN', 'VALUE_OUT_OF_RANGE'],
    ['double', '-Infinity', 'VALUE_OUT_OF_RANGE'],
    ['double', '1e400', 'VALUE_OUT_OF_RANGE'],
    ['double', '0x10', 'INVALID_TEXT'],
    ['double', '.', 'INVALID_TEXT'],
    ['decimal(5,2)', '999.995', 'VALUE_OUT_OF_RANGE'],
    ['decimal(5,2)', '1e999999999999999999999', 'VALUE_OUT_OF_RANGE'],
    ['decimal(5,2)', '.', 'INVALID_TEXT'],
    ['decimal(5,2)', 'NaN', 'INVALID_TEXT'],
    ['timestamp', '2025-02-29', 'INVALID_TEXT'],
    ['timestamp', '2025-01-31 24:00:00', 'INVALID_TEXT'],
    ['timestamp', '25-01-31', 'INVALID_TEXT'],
    ['timestamp', '0000-01-01', 'INVALID_TEXT'],
    ['timestamp', '2025-01-31 10:00:00+25:00', 'INVALID_TEXT'],
    ['timestamp', '294247-01-10 04:00:54.775808', 'VALUE_OUT_OF_RANGE'],
    ['date', '2025-13-01', 'INVALID_TEXT'],
    ['date', '6000000-01-01', 'VALUE_OUT_OF_RANGE'],
    ['date', '2025-01-31 25:00', 'INVALID_TEXT'],
    ['time', '10', 'INVALID_TEXT'],
    ['time', '2024-01-31', 'INVALID_TEXT'],
    ['time', '2024-02-30 10:00', 'INVALID_TEXT'],
    ['time', '24:00', 'INVALID_TEXT'],
    ['time', '23:59:59.9999999', 'VALUE_OUT_OF_RANGE'],
    ['uuid', 'x', 'INVALID_TEXT'],
    ['uuid', '0192f0c46d3b7c558a171f2e3d4c5b6', 'INVALID_TEXT'],
    ['bytes', '\\x0', 'INVALID_TEXT'],
    ['embedding(3)', '[1,2]', 'EMBEDDING_DIMENSION'],
    ['embedding(1)', '[1e39]', 'VALUE_OUT_OF_RANGE'],
    ['embedding(1)', '["1"]', 'INVALID_TEXT'],
    ['embedding(1)', '1', 'INVALID_TEXT'],
    ['embedding(1)', '[[1]]', 'INVALID_TEXT'],
    ['text', 'half \ud800', 'INVALID_TEXT'],
    ['json', '\udc00', 'INVALID_TEXT'],
  ])('%s, case %#', (type, text, error) => {
    expect(outcome(text, typeOf(type))).toStrictEqual({ error });
  });

  test('an error repeats little of a long text', () => {
    expect(() => cellFromText('x'.repeat(1_000_000), plainType('int'))).toThrow(
      `Execution error: Cannot cast string '${'x'.repeat(100)}…' to value of INT type`,
    );
  });
});

describe('decimals', () => {
  test('rounding to the scale is exact and half away from zero', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 0, max: 10 }),
        (units, from, to) => {
          const magnitude = units < 0n ? -units : units;
          const digits = magnitude.toString().padStart(from + 1, '0');
          const text = `${units < 0n ? '-' : ''}${digits.slice(0, digits.length - from)}.${digits.slice(digits.length - from)}`;
          const divisor = 10n ** BigInt(from);
          const expected = (2n * magnitude * 10n ** BigInt(to) + divisor) / (2n * divisor);
          const fits = expected < 10n ** 38n;
          expect(outcome(text, decimal(38, to))).toStrictEqual(
            fits ? (units < 0n ? -expected : expected) : { error: 'VALUE_OUT_OF_RANGE' },
          );
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('text forms', () => {
  test.each<[string, NonNullCell, string]>([
    ['boolean', false, 'false'],
    ['decimal(5,2)', -5n, '-0.05'],
    ['decimal(5,2)', 1230n, '12.30'],
    ['decimal(5,0)', 7n, '7'],
    ['float', Math.fround(0.1), '0.1'],
    ['float', 16777216, '1.6777216e+07'],
    ['float', 123456, '123456'],
    ['double', 0.1, '0.1'],
    ['double', 1, '1'],
    ['double', -0, '-0'],
    ['double', 1e15, '1e+15'],
    ['double', 123456789012345, '123456789012345'],
    ['double', 0.00001, '1e-05'],
    ['double', -0.0001, '-0.0001'],
    ['double', 1.7976931348623157e308, '1.7976931348623157e+308'],
    ['timestamp', 1738317600500000n, '2025-01-31 10:00:00.5'],
    ['timestamp', -1n, '1969-12-31 23:59:59.999999'],
    ['timestamp', -62135596800000001n, '0001-12-31 23:59:59.999999 BC'],
    ['timestamp', -(2n ** 63n), '290309-12-21 19:59:05.224192 BC'],
    ['date', 2932897, '10000-01-01'],
    ['time', 36000000000, '10:00:00'],
    ['bytes', Uint8Array.of(0, 255), '\\x00ff'],
    ['embedding(2)', Float32Array.of(1, 0.1), '[1,0.1]'],
  ])('%s %s is %s', (type, cell, text) => {
    expect(cellToText(cell, typeOf(type))).toBe(text);
  });

  test('dates agree with the platform calendar as far as it goes', () => {
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true, min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z') }),
        (date) => {
          const iso = date.toISOString();
          expect(cellFromText(iso, plainType('timestamp'))).toBe(BigInt(date.getTime()) * 1000n);
          expect(cellToText(Math.floor(date.getTime() / 86_400_000), plainType('date'))).toBe(iso.slice(0, 10));
        },
      ),
    );
  });
});

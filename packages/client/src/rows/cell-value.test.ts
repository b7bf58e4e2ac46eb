import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KalamCellValue } from './cell-value.ts';

const READERS = [
  'asString',
  'asInt',
  'asBigInt',
  'asSeqId',
  'asFloat',
  'asBool',
  'asUuid',
  'asDecimal',
  'asBytes',
  'asEmbedding',
  'asDate',
  'asDateOnly',
  'asTimeString',
  'asObject',
  'asArray',
  'asFile',
] as const;
const of = (raw: unknown): KalamCellValue => KalamCellValue.from(raw);

describe('cell value', () => {
  it('no reader throws, whatever the cell holds, and NULL fits none', () => {
    const raw = fc.oneof(fc.jsonValue(), fc.bigInt(), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(raw, (value) => {
        for (const reader of READERS) expect(() => of(value)[reader]()).not.toThrow();
      }),
    );
    for (const reader of READERS) expect(of(null)[reader]()).toBeNull();
    expect(of(undefined).isNull()).toBe(true);
  });

  it('a BIGINT is exact over its whole range, and asInt refuses what a double cannot hold', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(of(value.toString()).asBigInt()).toBe(value);
        expect(of(value.toString()).asInt()).toBe(Number.isSafeInteger(Number(value)) ? Number(value) : null);
        expect(of(value.toString()).asSeqId()?.toBigInt()).toBe(value);
      }),
    );
  });

  it('a time is the inverse of its formatting', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 86_399_999_999 }), (micros) => {
        const [clock = '', fraction = '0'] = of(micros).asTimeString()?.split('.') ?? [];
        const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number);
        expect((hours * 3600 + minutes * 60 + seconds) * 1_000_000 + Number(fraction.padEnd(6, '0'))).toBe(micros);
      }),
    );
    expect(of(86_400_000_000).asTimeString()).toBeNull();
  });

  it.each([
    ['asString', 12, '12'],
    ['asString', { a: [1] }, '{"a":[1]}'],
    ['asInt', 3.9, 3],
    ['asInt', 'x', null],
    ['asBool', 'false', false],
    ['asBool', 'maybe', null],
    ['asDecimal', '12.30', '12.30'],
    ['asDecimal', '1e3', null],
    ['asUuid', '0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B', '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'],
    ['asBytes', [0, 255], Uint8Array.of(0, 255)],
    ['asBytes', [256], null],
    ['asEmbedding', '[0.5,1]', [0.5, 1]],
    ['asObject', '{"a":1}', { a: 1 }],
    ['asArray', [1, 'x'], [1, 'x']],
  ] as const)('%s of %j is %j', (reader, raw, expected) => {
    expect(of(raw)[reader]()).toEqual(expected);
  });

  it('an integer beyond 2^53 is a number like any other', () => {
    expect([of(2n ** 60n).isNumber(), of(2n ** 60n).asBool(), of(0n).asBool()]).toEqual([true, true, false]);
  });

  it('reads timestamps by their column type, and by size when that is unknown', () => {
    expect(KalamCellValue.from(1_000_000, 'Timestamp').asDate()?.toISOString()).toBe('1970-01-01T00:00:01.000Z');
    expect(KalamCellValue.from(19_000, 'Date').asDate()?.toISOString()).toBe('2022-01-08T00:00:00.000Z');
    expect(of(1_700_000_000_000_000).asDate()?.toISOString()).toBe('2023-11-14T22:13:20.000Z');
    expect(of('2026-02-01T10:00:00Z').asDate()?.toISOString()).toBe('2026-02-01T10:00:00.000Z');
  });
});

import { kalamError, plainType } from '@kalamdb/protocol';
import { int64 } from '../numeric.ts';
import type { FunctionFamily, FunctionOverload } from './function-spec.ts';
import { isFieldOfTime, isTruncationUnit, type TimeField, type TruncationUnit, timeField } from './time-units.ts';

const MICROS_PER_SECOND = 1_000_000n;
const MICROS_PER_MINUTE = 60n * MICROS_PER_SECOND;
const MICROS_PER_HOUR = 60n * MICROS_PER_MINUTE;
const MICROS_PER_DAY = 24n * MICROS_PER_HOUR;
/** 1970-01-01 was a Thursday: the Monday before is three days earlier. */
const MONDAY_OFFSET = 3n * MICROS_PER_DAY;
/** The Julian day that 1970-01-01 was, as PostgreSQL counts: from midnight to midnight. */
const JULIAN_DAY_1970 = 2_440_588;

const double = plainType('double');
const timestamp = plainType('timestamp');

/** Calendar fields of an instant, in UTC. */
function civil(micros: bigint): Date {
  const date = new Date(Number(floorTo(micros, 1000n) / 1000n));
  if (Number.isNaN(date.getTime())) throw kalamError('VALUE_OUT_OF_RANGE', { value: micros, type: 'TIMESTAMP' });
  return date;
}

function floorTo(micros: bigint, unit: bigint): bigint {
  const rest = micros % unit;
  return rest < 0n ? micros - rest - unit : micros - rest;
}

function fromCivil(year: number, month: number): bigint {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 1);
  return BigInt(date.getTime()) * 1000n;
}

type Truncate = (micros: bigint) => bigint;

function years(step: number, base: number): Truncate {
  return (micros) => {
    const year = civil(micros).getUTCFullYear();
    return fromCivil(Math.floor((year - base) / step) * step + base, 0);
  };
}

const TRUNCATIONS: Readonly<Record<TruncationUnit, Truncate>> = {
  microsecond: (micros) => micros,
  millisecond: (micros) => floorTo(micros, 1000n),
  second: (micros) => floorTo(micros, MICROS_PER_SECOND),
  minute: (micros) => floorTo(micros, MICROS_PER_MINUTE),
  hour: (micros) => floorTo(micros, MICROS_PER_HOUR),
  day: (micros) => floorTo(micros, MICROS_PER_DAY),
  week: (micros) => floorTo(micros + MONDAY_OFFSET, 7n * MICROS_PER_DAY) - MONDAY_OFFSET,
  month: (micros) => {
    const date = civil(micros);
    return fromCivil(date.getUTCFullYear(), date.getUTCMonth());
  },
  quarter: (micros) => {
    const date = civil(micros);
    return fromCivil(date.getUTCFullYear(), Math.floor(date.getUTCMonth() / 3) * 3);
  },
  year: years(1, 0),
  decade: years(10, 0),
  century: years(100, 1),
  millennium: years(1000, 1),
};

/** Micros within the second, minute … are exact in a double. */
function within(micros: bigint, unit: bigint): number {
  return Number(micros - floorTo(micros, unit));
}

function weekOfYear(micros: bigint): { readonly year: number; readonly week: number } {
  const thursday = floorTo(micros + MONDAY_OFFSET, 7n * MICROS_PER_DAY) - MONDAY_OFFSET + 3n * MICROS_PER_DAY;
  const year = civil(thursday).getUTCFullYear();
  return { year, week: Math.floor(Number((thursday - fromCivil(year, 0)) / MICROS_PER_DAY) / 7) + 1 };
}

/** A year as it is called: there is none with the number 0, and that before the year 1 is -1. */
function calledYear(year: number): number {
  return year > 0 ? year : year - 1;
}

/** The first century and the first millennium begin with the year 1, those before it count from -1 downwards. */
function age(micros: bigint, years: number): number {
  const year = civil(micros).getUTCFullYear();
  return year > 0 ? Math.ceil(year / years) : Math.floor((year - 1) / years);
}

const PARTS: Readonly<Record<TimeField, (micros: bigint) => number>> = {
  microsecond: (micros) => within(micros, MICROS_PER_MINUTE),
  millisecond: (micros) => within(micros, MICROS_PER_MINUTE) / 1000,
  second: (micros) => within(micros, MICROS_PER_MINUTE) / 1_000_000,
  minute: (micros) => Math.floor(within(micros, MICROS_PER_HOUR) / 60_000_000),
  hour: (micros) => Math.floor(within(micros, MICROS_PER_DAY) / 3_600_000_000),
  day: (micros) => civil(micros).getUTCDate(),
  dow: (micros) => civil(micros).getUTCDay(),
  isodow: (micros) => ((civil(micros).getUTCDay() + 6) % 7) + 1,
  doy: (micros) => Number((floorTo(micros, MICROS_PER_DAY) - fromCivil(civil(micros).getUTCFullYear(), 0)) / MICROS_PER_DAY) + 1,
  week: (micros) => weekOfYear(micros).week,
  isoyear: (micros) => calledYear(weekOfYear(micros).year),
  month: (micros) => civil(micros).getUTCMonth() + 1,
  quarter: (micros) => Math.floor(civil(micros).getUTCMonth() / 3) + 1,
  year: (micros) => calledYear(civil(micros).getUTCFullYear()),
  decade: (micros) => Math.floor(civil(micros).getUTCFullYear() / 10),
  century: (micros) => age(micros, 100),
  millennium: (micros) => age(micros, 1000),
  epoch: (micros) => Number(micros) / 1_000_000,
  julian: (micros) => Number(micros) / Number(MICROS_PER_DAY) + JULIAN_DAY_1970,
};

function notAUnit(word: string, type: 'TIMESTAMP' | 'TIME'): never {
  throw kalamError('INVALID_ARGUMENT', { reason: `unit "${word}" not recognized for type ${type}` });
}

function truncated(word: string, micros: bigint): bigint {
  const unit = timeField(word);
  return unit !== undefined && isTruncationUnit(unit) ? TRUNCATIONS[unit](micros) : notAUnit(word, 'TIMESTAMP');
}

function partOfInstant(word: string, micros: bigint): number {
  return PARTS[timeField(word) ?? notAUnit(word, 'TIMESTAMP')](micros);
}

function partOfTime(word: string, micros: number): number {
  const field = timeField(word);
  return field !== undefined && isFieldOfTime(field) ? PARTS[field](BigInt(micros)) : notAUnit(word, 'TIME');
}

const part: readonly FunctionOverload[] = [
  { arguments: ['text', 'instant'], result: double, body: { run: partOfInstant } },
  { arguments: ['text', 'time'], result: double, body: { run: partOfTime } },
];

/** Functions over dates and times; everything is UTC. */
export const TIME_FUNCTIONS: FunctionFamily = {
  date_trunc: [
    {
      arguments: ['text', 'instant'],
      result: timestamp,
      body: { run: truncated },
    },
  ],
  date_part: part,
  extract: part,
  to_timestamp: [
    { arguments: ['number'], result: timestamp, body: { run: (seconds: number) => int64(BigInt(Math.round(seconds * 1_000_000))) } },
  ],
};

import { kalamError, plainType } from '@kalamdb/protocol';
import { int64 } from '../numeric.ts';
import type { FunctionFamily, FunctionOverload } from './function-spec.ts';

const MICROS_PER_SECOND = 1_000_000n;
const MICROS_PER_MINUTE = 60n * MICROS_PER_SECOND;
const MICROS_PER_HOUR = 60n * MICROS_PER_MINUTE;
const MICROS_PER_DAY = 24n * MICROS_PER_HOUR;
/** 1970-01-01 was a Thursday: the Monday before is three days earlier. */
const MONDAY_OFFSET = 3n * MICROS_PER_DAY;

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

const TRUNCATIONS: Readonly<Record<string, Truncate>> = {
  microsecond: (micros) => micros,
  microseconds: (micros) => micros,
  millisecond: (micros) => floorTo(micros, 1000n),
  milliseconds: (micros) => floorTo(micros, 1000n),
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

const PARTS: Readonly<Record<string, (micros: bigint) => number>> = {
  microseconds: (micros) => within(micros, MICROS_PER_MINUTE),
  milliseconds: (micros) => within(micros, MICROS_PER_MINUTE) / 1000,
  second: (micros) => within(micros, MICROS_PER_MINUTE) / 1_000_000,
  minute: (micros) => Math.floor(within(micros, MICROS_PER_HOUR) / 60_000_000),
  hour: (micros) => Math.floor(within(micros, MICROS_PER_DAY) / 3_600_000_000),
  day: (micros) => civil(micros).getUTCDate(),
  dow: (micros) => civil(micros).getUTCDay(),
  isodow: (micros) => ((civil(micros).getUTCDay() + 6) % 7) + 1,
  doy: (micros) => Number((floorTo(micros, MICROS_PER_DAY) - fromCivil(civil(micros).getUTCFullYear(), 0)) / MICROS_PER_DAY) + 1,
  week: (micros) => weekOfYear(micros).week,
  isoyear: (micros) => weekOfYear(micros).year,
  month: (micros) => civil(micros).getUTCMonth() + 1,
  quarter: (micros) => Math.floor(civil(micros).getUTCMonth() / 3) + 1,
  year: (micros) => civil(micros).getUTCFullYear(),
  decade: (micros) => Math.floor(civil(micros).getUTCFullYear() / 10),
  century: (micros) => Math.ceil(civil(micros).getUTCFullYear() / 100),
  millennium: (micros) => Math.ceil(civil(micros).getUTCFullYear() / 1000),
  epoch: (micros) => Number(micros) / 1_000_000,
};

function field<T>(table: Readonly<Record<string, T>>, name: string): T {
  const found = Object.hasOwn(table, name.toLowerCase()) ? table[name.toLowerCase()] : undefined;
  if (found === undefined) throw kalamError('INVALID_ARGUMENT', { reason: `unit "${name}" not recognized for type TIMESTAMP` });
  return found;
}

const part: readonly FunctionOverload[] = [
  { arguments: ['text', 'instant'], result: double, body: { run: (name: string, micros: bigint) => field(PARTS, name)(micros) } },
  { arguments: ['text', 'time'], result: double, body: { run: (name: string, micros: number) => field(PARTS, name)(BigInt(micros)) } },
];

/** Functions over dates and times; everything is UTC. */
export const TIME_FUNCTIONS: FunctionFamily = {
  date_trunc: [
    {
      arguments: ['text', 'instant'],
      result: timestamp,
      body: { run: (unit: string, micros: bigint) => field(TRUNCATIONS, unit)(micros) },
    },
  ],
  date_part: part,
  extract: part,
  to_timestamp: [
    { arguments: ['number'], result: timestamp, body: { run: (seconds: number) => int64(BigInt(Math.round(seconds * 1_000_000))) } },
  ],
};

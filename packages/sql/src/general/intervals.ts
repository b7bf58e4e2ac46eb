import { kalamError, plainType } from '@kalamdb/protocol';
import type { ArithmeticOperator } from '../expression/arithmetic.ts';
import { isInstant, isNumeric, isTextual } from '../expression/type-families.ts';
import { quoteText } from './duckdb-text.ts';
import { foreignPiece, type Piece, piece, typeOf } from './piece.ts';
import type { Place } from './scope.ts';

const timestamp = plainType('timestamp');
const double = plainType('double');
const bigint = plainType('bigint');

/** `INTERVAL '1' DAY`: the units by the bits of the grammar's type modifier (utils/datetime.h). */
const UNITS: ReadonlyMap<number, string> = new Map([
  [1 << 1, 'month'],
  [1 << 2, 'year'],
  [1 << 3, 'day'],
  [1 << 10, 'hour'],
  [1 << 11, 'minute'],
  [1 << 12, 'second'],
]);

/** A text as an interval. Throws INVALID_TEXT for a constant that is none as far as can be seen here. */
export function asInterval(of: Piece, { unit }: Place, fields?: number): Piece {
  if (of.foreign === 'interval') return of;
  const type = typeOf(of);
  if (type === undefined || !isTextual(type)) {
    if (type?.kind === 'time') return foreignPiece(timeAsInterval(of.text), 'interval');
    throw kalamError('TYPE_MISMATCH', { reason: 'cannot use this value as INTERVAL' });
  }
  const written = unit.values.constant(of);
  if (written === null) return foreignPiece('CAST(NULL AS INTERVAL)', 'interval');
  const words = typeof written === 'string' ? quoteText(intervalWords(written, fields)) : of.text;
  return foreignPiece(`CAST(${words} AS INTERVAL)`, 'interval');
}

/** `1-2` is a year and two months, `1` beside `DAY` a day, `3 4:05` three days and a time; the rest DuckDB reads as PostgreSQL does. */
function intervalWords(written: string, fields: number | undefined): string {
  const words = written.trim();
  const unit = fields === undefined ? undefined : UNITS.get(fields);
  if (unit !== undefined && /^[+-]?\d+(\.\d+)?$/.test(words)) return `${words} ${unit}`;
  const months = /^([+-]?)(\d+)-(\d+)$/.exec(words);
  if (months !== null) return `${months[1]}${months[2]} years ${months[1]}${months[3]} months`;
  const days = /^([+-]?\d+) ([+-]?\d+:\d+(?::\d+(?:\.\d+)?)?)$/.exec(words);
  if (days !== null) return `${days[1]} days ${days[2]}`;
  return /^[+-]?\d+(\.\d+)?$/.test(words) ? `${words} seconds` : words;
}

function timeAsInterval(time: string): string {
  return `to_microseconds(CAST(epoch_us(CAST('1970-01-01' AS DATE) + ${time}) AS BIGINT))`;
}

/** What moves times: intervals that add up and are multiplied, differences of times. `undefined`: no operation of theirs. */
export function withIntervals(operator: ArithmeticOperator, left: Piece, right: Piece, place: Place): Piece | undefined {
  const [a, b] = [typeOf(left), typeOf(right)];
  if (operator === '-' && a !== undefined && b !== undefined) {
    const difference = timeDifference(left, right, place);
    if (difference !== undefined) return difference;
  }
  if (a?.kind === 'date' && b?.kind === 'time' && operator === '+') return piece(`(${left.text} + ${right.text})`, timestamp);
  if (a?.kind === 'time' && b?.kind === 'date' && operator === '+') return piece(`(${right.text} + ${left.text})`, timestamp);
  if (operator === '+' || operator === '-') return moved(operator, left, right, place);
  if (left.foreign === 'interval' && b !== undefined && operator !== '%') return scaled(operator, left, right, place);
  if (right.foreign === 'interval' && a !== undefined && operator === '*') return scaled(operator, right, left, place);
  return undefined;
}

function timeDifference(left: Piece, right: Piece, { unit }: Place): Piece | undefined {
  const [a, b] = [left, right].map(typeOf);
  if (a === undefined || b === undefined) return undefined;
  const instants = isInstant(a) || isInstant(b);
  const fits = (of: Piece): boolean => {
    const type = typeOf(of);
    return type !== undefined && (isInstant(type) || type.kind === 'date' || typeof unit.values.constant(of) === 'string');
  };
  if (instants && fits(left) && fits(right)) {
    const [x, y] = [left, right].map((of) => unit.values.as(of, timestamp));
    return foreignPiece(`(${x} - ${y})`, 'interval');
  }
  if (a.kind !== 'time' || b.kind !== 'time') return undefined;
  return foreignPiece(`(${timeAsInterval(left.text)} - ${timeAsInterval(right.text)})`, 'interval');
}

/** A time and an interval, or two intervals; a text as written is an interval beside either. */
function moved(operator: '+' | '-', left: Piece, right: Piece, place: Place): Piece | undefined {
  if (left.typed !== undefined && right.foreign !== 'interval' && !isWritten(right, place)) return undefined;
  if (left.foreign === 'interval') {
    if (right.foreign === 'interval' || isWritten(right, place))
      return foreignPiece(`(${left.text} ${operator} ${asInterval(right, place).text})`, 'interval');
    return operator === '+' ? moved('+', right, left, place) : undefined;
  }
  const type = typeOf(left);
  if (isWritten(left, place) && right.foreign === 'interval')
    return foreignPiece(`(${asInterval(left, place).text} ${operator} ${right.text})`, 'interval');
  if (type === undefined || !(isInstant(type) || type.kind === 'date' || type.kind === 'time')) return undefined;
  if (right.foreign !== 'interval' && type.kind === 'date') return undefined;
  const text = `(${left.text} ${operator} ${asInterval(right, place).text})`;
  return piece(text, type.kind === 'date' ? timestamp : type);
}

function isWritten(of: Piece, { unit }: Place): boolean {
  return of.typed?.kind === 'value' && of.typed.literal === 'string' && typeof unit.values.constant(of) === 'string';
}

function scaled(operator: '*' | '/', interval: Piece, factor: Piece, { unit }: Place): Piece | undefined {
  const type = typeOf(factor);
  if (type === undefined || !(isNumeric(type) || factor.typed?.kind === 'value')) return undefined;
  const by = unit.values.as(factor, double);
  if (operator === '*') return foreignPiece(`(${interval.text} * ${by})`, 'interval');
  return foreignPiece(`(CASE WHEN ${by} = 0 THEN error('division by zero') ELSE "/"(${interval.text}, ${by}) END)`, 'interval');
}

/** Functions of intervals and those that give them; `undefined`: another function. */
export function writeIntervalCall(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const [first, second] = operands;
  if (name === 'make_interval') return makeInterval(operands, place);
  if (first === undefined) return undefined;
  switch (name) {
    case 'age':
      return age(operands, place);
    case 'date_bin':
      return dateBin(operands, place);
    case 'justify_days':
    case 'justify_hours':
    case 'justify_interval':
      return operands.length === 1 && first.foreign === 'interval' ? foreignPiece(justified(name, first.text), 'interval') : undefined;
    case 'extract':
    case 'date_part':
      return second?.foreign === 'interval' ? intervalPart(first, second, place) : undefined;
    case 'date_trunc':
      return second?.foreign === 'interval' && operands.length === 2
        ? foreignPiece(`date_trunc(${place.unit.values.as(first, plainType('text'))}, ${second.text})`, 'interval')
        : undefined;
    default:
      return undefined;
  }
}

function age([first, second]: readonly Piece[], { unit }: Place): Piece | undefined {
  if (first === undefined) return undefined;
  const { nowMicros } = unit.plan.request;
  const today = `date_trunc('day', make_timestamp(CAST(${nowMicros} AS BIGINT)))`;
  const [from, to] = second === undefined ? [today, first] : [unit.values.as(first, timestamp), second];
  return foreignPiece(`age(${from}, ${unit.values.as(to, timestamp)})`, 'interval');
}

function dateBin([stride, at, origin]: readonly Piece[], place: Place): Piece | undefined {
  if (stride === undefined || at === undefined || origin === undefined) return undefined;
  const { values } = place.unit;
  const [x, start] = [at, origin].map((of) => values.as(of, timestamp));
  return piece(`time_bucket(${asInterval(stride, place).text}, ${x}, ${start})`, timestamp);
}

function makeInterval(operands: readonly Piece[], { unit }: Place): Piece | undefined {
  const makers = ['to_years', 'to_months', 'to_weeks', 'to_days', 'to_hours', 'to_minutes', 'to_seconds'];
  if (operands.length > makers.length) return undefined;
  const parts = operands.map((of, index) => `${makers[index]}(${unit.values.as(of, index === makers.length - 1 ? double : bigint)})`);
  return foreignPiece(parts.length === 0 ? "CAST('0 days' AS INTERVAL)" : `(${parts.join(' + ')})`, 'interval');
}

const MICROS_PER_DAY = 86_400_000_000n;

/** Days of 24 hours, months of 30 days. */
function justified(name: string, interval: string): string {
  const days = `CAST(date_part('day', p) AS BIGINT)`;
  const months = `CAST(date_part('year', p) * 12 + date_part('month', p) AS BIGINT)`;
  const micros = `CAST(epoch_us(p - to_months(${months}) - to_days(${days})) AS BIGINT)`;
  const ofHours = `(to_months(${months}) + to_days(${days} + ${micros} // ${MICROS_PER_DAY}) + to_microseconds(${micros} % ${MICROS_PER_DAY}))`;
  const ofDays = `(to_months(${months} + ${days} // 30) + to_days(${days} % 30) + to_microseconds(${micros}))`;
  const all = `(${micros} + (${days} + ${months} * 30) * ${MICROS_PER_DAY})`;
  const ofBoth = `(to_months(${all} // ${30n * MICROS_PER_DAY}) + to_days(${all} % ${30n * MICROS_PER_DAY} // ${MICROS_PER_DAY}) + to_microseconds(${all} % ${MICROS_PER_DAY}))`;
  const result = name === 'justify_days' ? ofDays : name === 'justify_hours' ? ofHours : ofBoth;
  return `list_transform([${interval}], lambda p: ${result})[1]`;
}

function intervalPart(field: Piece, interval: Piece, { unit }: Place): Piece {
  const word = unit.values.constant(field);
  if (typeof word !== 'string') return unit.missing('EXTRACT with a computed field', undefined);
  const micros = (divisor: number): string => `(CAST(date_part('microseconds', ${interval.text}) AS DOUBLE) / CAST(${divisor} AS DOUBLE))`;
  switch (word.toLowerCase()) {
    case 'epoch':
      return piece(`CAST(epoch(${interval.text}) AS DOUBLE)`, double);
    case 'second':
    case 'seconds':
      return piece(micros(1_000_000), double);
    case 'millisecond':
    case 'milliseconds':
      return piece(micros(1000), double);
    default:
      return piece(`CAST(date_part(${quoteText(word)}, ${interval.text}) AS DOUBLE)`, double);
  }
}

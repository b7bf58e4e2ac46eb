import { civilFromDays, daysFromCivil, isCivilDate } from './civil-date.ts';

const microsPerSecond = 1_000_000;
const microsPerMinute = 60 * microsPerSecond;
const microsPerHour = 60 * microsPerMinute;
const microsPerDay = 24 * microsPerHour;
const microsPerDayBig = BigInt(microsPerDay);

const datePattern = String.raw`(\d{4,7})-(\d{1,2})-(\d{1,2})`;
const timePattern = String.raw`(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,30}))?)?`;
const zonePattern = String.raw`(?: ?(?:([zZ])|([+-])(\d{2})(?::?(\d{2}))?))?`;
const timestampText = new RegExp(`^${datePattern}(?:[tT ]${timePattern}${zonePattern})?( BC)?$`);
const timeText = new RegExp(`^${timePattern}${zonePattern}$`);

/**
 * Microseconds since the epoch of `YYYY-MM-DD[( |T)HH:MM[:SS[.f…]][Z|±HH[[:]MM]]][ BC]`, or undefined when the text is not that
 * or names a moment that does not exist. Without a zone it is UTC; digits after the sixth of a fraction round half up.
 * The result is not limited to 64 bits.
 */
export function parseTimestamp(text: string): bigint | undefined {
  const match = timestampText.exec(text.trim());
  if (match === null) return undefined;
  const days = daysOf(match[1], match[2], match[3], match[12] !== undefined);
  const micros = match[4] === undefined ? 0 : microsOf(match[4], match[5], match[6], match[7]);
  if (days === undefined || micros === undefined) return undefined;
  const zoneHours = Number(match[10] ?? 0);
  const zoneMinutes = Number(match[11] ?? 0);
  if (zoneHours > 23 || zoneMinutes > 59) return undefined;
  const zoneMicros = (zoneHours * microsPerHour + zoneMinutes * microsPerMinute) * (match[9] === '-' ? -1 : 1);
  return BigInt(days) * microsPerDayBig + BigInt(micros - zoneMicros);
}

/** Days since the epoch of a text that {@link parseTimestamp} accepts; a time and its zone are checked and left out, as PostgreSQL does. */
export function parseDate(text: string): number | undefined {
  const match = timestampText.exec(text.trim());
  if (match === null) return undefined;
  if (match[4] !== undefined && microsOf(match[4], match[5], match[6], match[7]) === undefined) return undefined;
  return daysOf(match[1], match[2], match[3], match[12] !== undefined);
}

/**
 * Microseconds since midnight of `HH:MM[:SS[.f…]]`; rounding the fraction may give the whole day's 86 400 000 000. A zone behind it, and a date
 * before it ({@link parseTimestamp}), are checked and left out, as PostgreSQL does.
 */
export function parseTime(text: string): number | undefined {
  const trimmed = text.trim();
  const alone = timeText.exec(trimmed);
  if (alone !== null) return microsOf(alone[1], alone[2], alone[3], alone[4]);
  const match = timestampText.exec(trimmed);
  if (match?.[4] === undefined || daysOf(match[1], match[2], match[3], match[12] !== undefined) === undefined) return undefined;
  return microsOf(match[4], match[5], match[6], match[7]);
}

function daysOf(
  yearText: string | undefined,
  month: string | undefined,
  day: string | undefined,
  beforeChrist: boolean,
): number | undefined {
  const written = Number(yearText);
  if (written === 0) return undefined;
  const date = { year: beforeChrist ? 1 - written : written, month: Number(month), day: Number(day) };
  return isCivilDate(date) ? daysFromCivil(date) : undefined;
}

function microsOf(
  hourText: string | undefined,
  minuteText: string | undefined,
  secondText: string | undefined,
  fraction: string | undefined,
): number | undefined {
  const hour = Number(hourText);
  const minute = Number(minuteText);
  const second = Number(secondText ?? 0);
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  return hour * microsPerHour + minute * microsPerMinute + second * microsPerSecond + fractionMicros(fraction ?? '');
}

function fractionMicros(digits: string): number {
  const micros = Number(digits.slice(0, 6).padEnd(6, '0'));
  return (digits[6] ?? '0') >= '5' ? micros + 1 : micros;
}

/** `2025-01-31 10:00:00.5`, PostgreSQL's form; years before 1 AD end in ` BC`. */
export function formatTimestamp(micros: bigint): string {
  const timeOfDay = ((micros % microsPerDayBig) + microsPerDayBig) % microsPerDayBig;
  const date = formatDate(Number((micros - timeOfDay) / microsPerDayBig));
  const time = formatTime(Number(timeOfDay));
  return date.endsWith(' BC') ? `${date.slice(0, -3)} ${time} BC` : `${date} ${time}`;
}

/** `2025-01-31`; years before 1 AD end in ` BC`. */
export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days);
  const written = year > 0 ? year : 1 - year;
  return `${String(written).padStart(4, '0')}-${twoDigits(month)}-${twoDigits(day)}${year > 0 ? '' : ' BC'}`;
}

/** `10:00:00` or `10:00:00.5`: the fraction without trailing zeros. */
export function formatTime(micros: number): string {
  const second = Math.floor(micros / microsPerSecond);
  const fraction = micros % microsPerSecond;
  const clock = `${twoDigits(Math.floor(second / 3600))}:${twoDigits(Math.floor(second / 60) % 60)}:${twoDigits(second % 60)}`;
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

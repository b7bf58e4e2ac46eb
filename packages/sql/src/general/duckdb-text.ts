import { type Cell, cellToText, type DataType, duckdbType, type NonNullCell } from '@kalamdb/protocol';
import { INT64_MAX, INT64_MIN } from '../expression/numeric.ts';
import { isFloating, isInstant, isInteger } from '../expression/type-families.ts';

/** A name as DuckDB reads it, whatever is in it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as a constant. DuckDB knows no escapes in it but the doubled quote; a NUL would end the statement, so it is put in by number. */
export function quoteText(text: string): string {
  const pieces = text.split('\0').map((piece) => `'${piece.replaceAll("'", "''")}'`);
  return pieces.length === 1 ? (pieces[0] ?? "''") : `(${pieces.join(' || chr(0) || ')})`;
}

/** Texts one behind the other, or NULL. Of a NULL that it can see DuckDB forgets that it is a text: hence the cast. */
export function joinedTexts(parts: readonly string[]): string {
  return `CAST((${parts.join(' || ')}) AS VARCHAR)`;
}

/** A cell as a constant of its type. Numbers that a comparison left outside the type (`n < 1.5` over integers) become doubles. */
export function constantText(cell: Cell, type: DataType): string {
  if (cell === null) return `CAST(NULL AS ${duckdbType(type)})`;
  switch (type.kind) {
    case 'boolean':
      return cell === true ? 'true' : 'false';
    case 'smallint':
    case 'int':
    case 'bigint':
      return integerText(cell, type);
    case 'float':
    case 'double':
      return `CAST('${String(cell)}' AS ${duckdbType(type)})`;
    case 'text':
    case 'json':
    case 'file':
      return quoteText(String(cell));
    case 'timestamp':
    case 'datetime':
      return `make_timestamp(CAST(${String(cell)} AS BIGINT))`;
    case 'date':
      return `(CAST('1970-01-01' AS DATE) + CAST(${String(cell)} AS INTEGER))`;
    case 'bytes':
      return `from_hex('${cellToText(cell, type).slice(2)}')`;
    case 'decimal':
      return decimalText(BigInt(cell as bigint), type.precision, type.scale);
    case 'uuid':
    case 'time':
    case 'embedding':
      return `CAST('${cellToText(cell, type)}' AS ${duckdbType(type)})`;
    default:
      return type satisfies never;
  }
}

/** A comparison may bring a number that has more digits than its type. */
function decimalText(unscaled: bigint, precision: number, scale: number): string {
  const digits = String(unscaled).replace('-', '').length;
  if (digits > 38) return `CAST('${unscaled}e-${scale}' AS DOUBLE)`;
  const text = cellToText(unscaled, { kind: 'decimal', precision: 38, scale });
  return `CAST('${text}' AS DECIMAL(${digits > precision ? 38 : precision},${scale}))`;
}

function integerText(cell: NonNullCell, type: DataType): string {
  const whole = typeof cell === 'bigint' || Number.isInteger(cell);
  const value = whole ? BigInt(cell as bigint | number) : 0n;
  if (!whole || value > INT64_MAX || value < INT64_MIN) return `CAST('${String(cell)}' AS DOUBLE)`;
  const bits = type.kind === 'smallint' ? 16 : type.kind === 'int' ? 32 : 64;
  const fits = BigInt.asIntN(bits, value) === value;
  return `CAST(${value} AS ${fits ? duckdbType(type) : 'BIGINT'})`;
}

/** A text of SQL that has one type as one that has another; the conversion exists. */
export function castText(text: string, from: DataType, to: DataType): string {
  const target = duckdbType(to);
  if (target === duckdbType(from)) return text;
  if (target === 'VARCHAR') return asText(text, from);
  if (isInteger(from) && isInstant(to)) return `make_timestamp(CAST(${text} AS BIGINT))`;
  if (isInstant(from) && to.kind === 'bigint') return `epoch_us(${text})`;
  if (isFloating(from) && to.kind === 'decimal') return decimalOfDouble(text, target, to.scale);
  return duckdbType(from) === 'VARCHAR' ? ofText(text, to) : `CAST(${text} AS ${target})`;
}

/** A text read as PostgreSQL reads it: DuckDB takes more, and other things for the same. */
function ofText(text: string, to: DataType): string {
  const target = duckdbType(to);
  switch (to.kind) {
    case 'smallint':
    case 'int':
    case 'bigint':
      return integerOfText(text, target);
    case 'double':
    case 'float':
      return floatingOfText(text, target);
    case 'decimal':
      return decimalOfText(text, target, to.scale);
    case 'boolean':
      return booleanOfText(text);
    case 'bytes':
      return bytesOfText(text);
    case 'time':
      return timeOfText(text);
    case 'date':
      return instantOfText(text, 'DATE');
    case 'timestamp':
    case 'datetime':
      return instantOfText(text, 'TIMESTAMP');
    default:
      return `CAST(${text} AS ${target})`;
  }
}

function asText(text: string, from: DataType): string {
  if (from.kind === 'float' || from.kind === 'double') return floatingText(text, from.kind);
  if (from.kind === 'bytes') return joinedTexts([`'\\x'`, `lower(hex(${text}))`]);
  if (from.kind === 'embedding') return `replace(replace(CAST(${text} AS VARCHAR), ' ', ''), '.0', '')`;
  // PostgreSQL says it behind the time.
  if (from.kind === 'date' || isInstant(from)) return `regexp_replace(CAST(${text} AS VARCHAR), ' \\(BC\\)(.*)$', '\\1 BC')`;
  return `CAST(${text} AS VARCHAR)`;
}

/** The words that PostgreSQL reads too, whatever their case and with blanks around them; DuckDB knows fewer and no blanks. */
function booleanOfText(text: string): string {
  const word = `lower(regexp_replace(p, '^\\s+|\\s+$', '', 'g'))`;
  const refusal = `error('Could not convert string ''' || p || ''' to BOOLEAN')`;
  const chosen = `CASE WHEN ${word} IN ('true', 't', 'yes', 'y', 'on', '1') THEN true WHEN ${word} IN ('false', 'f', 'no', 'n', 'off', '0') THEN false`;
  return `list_transform([${text}], lambda p: ${chosen} WHEN p IS NOT NULL THEN ${refusal} END)[1]`;
}

const NUMBER_PATTERN = '\\s*[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?\\s*';

/** Digits with all that may be around them; DuckDB reads infinities, NaN and digits with `_` between them too. */
function floatingOfText(text: string, target: string): string {
  const refusal = `error('Could not convert string ''' || p || ''' to ${target}')`;
  const overflow = `error('Overflow in cast of ${target} (' || trim(p) || ')')`;
  const isNone = `regexp_full_match(p, '(?i)\\s*(nan|[+-]?inf(inity)?)\\s*')`;
  const value = `CAST(p AS ${target})`;
  const chosen = `WHEN ${isNone} THEN ${overflow} WHEN NOT regexp_full_match(p, '${NUMBER_PATTERN}') THEN ${refusal} WHEN isinf(${value}) THEN ${overflow}`;
  return `list_transform([${text}], lambda p: CASE WHEN p IS NULL THEN NULL ${chosen} ELSE ${value} END)[1]`;
}

/** A number that only the type has no room for is told from a text that is no number. */
function decimalOfText(text: string, target: string, scale: number): string {
  const refusal = `error('Could not convert string ''' || p || ''' to ${target}')`;
  const chosen = `WHEN regexp_full_match(p, '${NUMBER_PATTERN}') THEN ${decimalOfNumber('p', 'CAST(p AS DOUBLE)', { target, scale })}`;
  return `list_transform([${text}], lambda p: CASE ${chosen} WHEN p IS NOT NULL THEN ${refusal} END)[1]`;
}

/** What becomes decimal of a DOUBLE is its shortest text, as it is with `round`: of -2^63 that is -9223372036854776000. */
function decimalOfDouble(text: string, target: string, scale: number): string {
  const overflow = `error('Overflow in cast of ${target} (' || p || ')')`;
  const isTooLarge = `abs(p) >= CAST('1e${38 - scale}' AS DOUBLE)`;
  const value = decimalOfNumber('CAST(p AS VARCHAR)', 'p', { target, scale });
  return `list_transform([${text}], lambda p: CASE WHEN ${isTooLarge} THEN ${overflow} ELSE ${value} END)[1]`;
}

/** The decimal that the text of a number is. For DuckDB 9.5e-4 with two digits is 0.01: what has none of its digits within the scale is 0. */
function decimalOfNumber(text: string, near: string, { target, scale }: { readonly target: string; readonly scale: number }): string {
  return `CAST(CASE WHEN abs(${near}) < CAST('1e-${scale + 1}' AS DOUBLE) THEN 0 ELSE CAST(${text} AS DECIMAL(38,${scale})) END AS ${target})`;
}

const DATE_PATTERN = '[0-9]{4,7}-[0-9]{1,2}-[0-9]{1,2}';
const TIME_PATTERN = '([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,30})?)?';
/** What most texts are: DuckDB reads it in the same way, and at once. */
const PLAIN_PATTERN = `[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}([tT ]${TIME_PATTERN})?`;
const ZONE_PATTERN = '( ?([zZ]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?))?';

/** Whether the text `p` is one of parseTimestamp (or, with a time alone, of parseTime); the calendar is left to DuckDB, which has a year 0. */
function isInstantText(date: string, time: string): string {
  const pattern = `regexp_full_match(p, '\\s*${date}${time}( BC)?\\s*')`;
  return `${pattern} AND NOT regexp_matches(p, '^\\s*0+-')`;
}

/** A time of day, with a date before it and a zone behind it that say nothing; DuckDB would take a date alone for midnight, and hour 24. */
function timeOfText(text: string): string {
  const refusal = `error('Could not convert string ''' || p || ''' to TIME')`;
  const isTime = isInstantText(`(${DATE_PATTERN}[tT ])?`, `${TIME_PATTERN}${ZONE_PATTERN}`);
  const isDay = `(NOT regexp_matches(p, '${DATE_PATTERN}') OR TRY_CAST(regexp_extract(p, '${DATE_PATTERN}') AS DATE) IS NOT NULL)`;
  const taken = `CAST(regexp_extract(regexp_replace(p, '${DATE_PATTERN}', ''), '${TIME_PATTERN}') AS TIME)`;
  return `list_transform([${text}], lambda p: CASE WHEN ${isTime} AND ${isDay} THEN ${taken} WHEN p IS NOT NULL THEN ${refusal} END)[1]`;
}

/** A date and perhaps a time. DuckDB knows further forms, has the era behind the date, and passes over the zone, which makes another moment. */
function instantOfText(text: string, target: 'DATE' | 'TIMESTAMP'): string {
  const refusal = `error('Could not convert string ''' || p || ''' to ${target}')`;
  const isInstant = isInstantText(DATE_PATTERN, `([tT ]${TIME_PATTERN}${ZONE_PATTERN})?`);
  const date = `regexp_extract(p, '${DATE_PATTERN}') || CASE WHEN contains(p, 'BC') THEN ' (BC)' ELSE '' END`;
  const rest = `regexp_replace(p, '${DATE_PATTERN}', '')`;
  const zone = `replace(regexp_extract(${rest}, '[+-][0-9:]+'), ':', '')`;
  const minutes = `CAST(substr(${zone}, 1, 3) AS INTEGER) * 60 + CAST(left(${zone}, 1) || substr(rpad(${zone}, 5, '0'), 4) AS INTEGER)`;
  const local = `CAST(${date} || ' ' || coalesce(nullif(regexp_extract(${rest}, '${TIME_PATTERN}'), ''), '00:00') AS TIMESTAMP)`;
  const moment = `CASE WHEN ${zone} = '' THEN ${local} ELSE ${local} - (${minutes}) * CAST('1 minute' AS INTERVAL) END`;
  const made = target === 'DATE' ? `CAST(${date} AS DATE)` : moment;
  const plain = `WHEN regexp_full_match(p, '${PLAIN_PATTERN}') THEN CAST(p AS ${target})`;
  return `list_transform([${text}], lambda p: CASE ${plain} WHEN ${isInstant} THEN ${made} WHEN p IS NOT NULL THEN ${refusal} END)[1]`;
}

/** `\\x` and pairs of hexadecimal digits, else the text's own bytes. */
function bytesOfText(text: string): string {
  const refusal = `error('Could not convert string ''' || p || ''' to BYTES')`;
  const digits = `CASE WHEN regexp_full_match(p, '\\\\x([0-9a-fA-F]{2})*') THEN from_hex(substr(p, 3)) ELSE ${refusal} END`;
  return `list_transform([${text}], lambda p: CASE WHEN starts_with(p, '\\x') THEN ${digits} ELSE encode(p) END)[1]`;
}

/** Digits with a sign and blanks around them; DuckDB would round '1.5' too, where PostgreSQL fails. Those that are too many are told from what is no number. */
function integerOfText(text: string, target: string): string {
  const refusal = `error('Could not convert string ''' || p || ''' to ${target}')`;
  const overflow = `error('Overflow in cast of ${target} (' || trim(p) || ')')`;
  const isWhole = `regexp_full_match(p, '\\s*[+-]?[0-9]+\\s*')`;
  const whole = `CASE WHEN p IS NULL THEN NULL WHEN NOT ${isWhole} THEN ${refusal} ELSE coalesce(TRY_CAST(p AS ${target}), ${overflow}) END`;
  return `list_transform([${text}], lambda p: ${whole})[1]`;
}

/**
 * A floating-point number as PostgreSQL writes it: without DuckDB's `.0`, and with an exponent from 1e6 (FLOAT) or 1e15 (DOUBLE) on, where DuckDB
 * writes digits up to 1e16: 16777216 is `1.6777216e+07`.
 */
function floatingText(text: string, kind: 'float' | 'double'): string {
  const plain = `regexp_replace(CAST(p AS VARCHAR), '\\.0$', '')`;
  const digits = `replace(ltrim(${plain}, '-'), '.', '')`;
  const mantissa = `rtrim(rtrim(regexp_replace(${digits}, '^(.)', '\\1.'), '0'), '.')`;
  const exponent = `lpad(CAST(length(split_part(ltrim(${plain}, '-'), '.', 1)) - 1 AS VARCHAR), 2, '0')`;
  const scientific = `(CASE WHEN p < 0 THEN '-' ELSE '' END) || ${mantissa} || 'e+' || ${exponent}`;
  const least = kind === 'float' ? '1000000' : '1000000000000000';
  const isLarge = `abs(p) >= ${least} AND NOT contains(CAST(p AS VARCHAR), 'e')`;
  return `list_transform([${text}], lambda p: CASE WHEN ${isLarge} THEN ${scientific} ELSE ${plain} END)[1]`;
}

import { type Cell, cellToText, type DataType, duckdbType, type NonNullCell } from '@kalamdb/protocol';
import { INT64_MAX, INT64_MIN } from '../expression/numeric.ts';
import { isInstant, isInteger } from '../expression/type-families.ts';

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
  if (duckdbType(from) === 'VARCHAR' && isInteger(to)) return integerOfText(text, target);
  if (duckdbType(from) === 'VARCHAR' && to.kind === 'bytes') return bytesOfText(text);
  if (duckdbType(from) === 'VARCHAR' && to.kind === 'boolean') return booleanOfText(text);
  // A number that only the type has no room for is told from a text that is no number.
  if (duckdbType(from) === 'VARCHAR' && to.kind === 'decimal') return `CAST(CAST(${text} AS DECIMAL(38,${to.scale})) AS ${target})`;
  return `CAST(${text} AS ${target})`;
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

/** `\\x` and pairs of hexadecimal digits, else the text's own bytes. */
function bytesOfText(text: string): string {
  const refusal = `error('Could not convert string ''' || p || ''' to BYTES')`;
  const digits = `CASE WHEN regexp_full_match(p, '\\\\x([0-9a-fA-F]{2})*') THEN from_hex(substr(p, 3)) ELSE ${refusal} END`;
  return `list_transform([${text}], lambda p: CASE WHEN starts_with(p, '\\x') THEN ${digits} ELSE encode(p) END)[1]`;
}

/** Digits with a sign and blanks around them; DuckDB would round '1.5' too, where PostgreSQL fails. */
function integerOfText(text: string, target: string): string {
  const refusal = `error('Could not convert string ''' || p || ''' to ${target}')`;
  const isWhole = `p IS NULL OR regexp_full_match(p, '\\s*[+-]?[0-9]+\\s*')`;
  return `list_transform([${text}], lambda p: CASE WHEN ${isWhole} THEN CAST(p AS ${target}) ELSE ${refusal} END)[1]`;
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

import { kalamError } from '../errors/kalam-error.ts';
import { parseJson } from '../json/parse-json.ts';
import type { DataType, NonNullCell } from './data-type.ts';
import { formatHex, parseHex, parseUuid } from './hex-text.ts';
import { formatDecimal, formatDouble, formatFloat, type ParsedNumber, parseDecimal, parseDouble, parseInt64 } from './number-text.ts';
import { formatDate, formatTime, formatTimestamp, parseDate, parseTime, parseTimestamp } from './temporal-text.ts';
import { sqlTypeName } from './type-name.ts';
import { isWellFormedText } from './unicode-text.ts';

/** Longest part of a refused text that an error repeats. */
const quotedCharactersMax = 100;
const utf8 = new TextEncoder();

/**
 * The cell that a text stands for in a column of the type: literals, text parameters, casts. Never NULL.
 *
 * Numbers, booleans, times and UUIDs may have spaces around them. Integers take no fraction; decimals round half away from
 * zero to their scale, exactly; a float is the nearest one. Times without a zone are UTC. Bytes are the text's UTF-8 bytes,
 * or those named by PostgreSQL's hex form `\x00ff`. An embedding is a JSON array. Texts, JSON and files are taken as they are.
 *
 * Throws INVALID_TEXT (it does not say a value of the type), VALUE_OUT_OF_RANGE (it does, but not one the type can hold; NaN
 * and infinities too) or EMBEDDING_DIMENSION.
 */
export function cellFromText(text: string, type: DataType): NonNullCell {
  switch (type.kind) {
    case 'boolean':
      return parseBoolean(text) ?? refuse(text, type);
    case 'smallint':
      return integerInRange(text, type, 0x8000n);
    case 'int':
      return integerInRange(text, type, 0x8000_0000n);
    case 'bigint':
      return accept(parseInt64(text), text, type);
    case 'float': {
      const value = Math.fround(accept(parseDouble(text), text, type));
      return Number.isFinite(value) ? value : refuseRange(text, type);
    }
    case 'double':
      return accept(parseDouble(text), text, type);
    case 'decimal':
      return accept(parseDecimal(text, type.precision, type.scale), text, type);
    case 'text':
    case 'json':
    case 'file':
      return isWellFormedText(text) ? text : refuse(text, type);
    case 'timestamp':
    case 'datetime': {
      const micros = parseTimestamp(text) ?? refuse(text, type);
      return BigInt.asIntN(64, micros) === micros ? micros : refuseRange(text, type);
    }
    case 'date': {
      const days = parseDate(text) ?? refuse(text, type);
      return days === (days | 0) ? days : refuseRange(text, type);
    }
    case 'time': {
      const micros = parseTime(text) ?? refuse(text, type);
      return micros < 86_400_000_000 ? micros : refuseRange(text, type);
    }
    case 'bytes':
      return text.startsWith('\\x') ? (parseHex(text.slice(2)) ?? refuse(text, type)) : utf8.encode(text);
    case 'uuid':
      return parseUuid(text) ?? refuse(text, type);
    case 'embedding':
      return parseEmbedding(text, type);
  }
}

/**
 * The text of `CAST(x AS TEXT)`, in PostgreSQL's form: `true`, `12.30`, `0.1`, `2025-01-31 10:00:00.5`, `\x00ff`,
 * `[1,0.5]`. {@link cellFromText} with the same type gives the cell back. The cell must be one of the type.
 */
export function cellToText(cell: NonNullCell, type: DataType): string {
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'boolean') return cell ? 'true' : 'false';
  if (typeof cell === 'bigint') {
    if (type.kind === 'decimal') return formatDecimal(cell, type.scale);
    return type.kind === 'bigint' ? cell.toString() : formatTimestamp(cell);
  }
  if (typeof cell !== 'number') {
    return cell instanceof Float32Array ? `[${Array.from(cell, formatFloat).join(',')}]` : `\\x${formatHex(cell)}`;
  }
  switch (type.kind) {
    case 'float':
      return formatFloat(cell);
    case 'double':
      return formatDouble(cell);
    case 'date':
      return formatDate(cell);
    case 'time':
      return formatTime(cell);
    default:
      return String(cell);
  }
}

function parseBoolean(text: string): boolean | undefined {
  switch (text.trim().toLowerCase()) {
    case 'true':
    case 't':
    case 'yes':
    case 'y':
    case 'on':
    case '1':
      return true;
    case 'false':
    case 'f':
    case 'no':
    case 'n':
    case 'off':
    case '0':
      return false;
    default:
      return undefined;
  }
}

function integerInRange(text: string, type: DataType, limit: bigint): number {
  const value = accept(parseInt64(text), text, type);
  return value >= -limit && value < limit ? Number(value) : refuseRange(text, type);
}

function parseEmbedding(text: string, type: DataType & { readonly kind: 'embedding' }): Float32Array {
  const elements = embeddingElements(text) ?? refuse(text, type);
  if (elements.length !== type.dimension) throw kalamError('EMBEDDING_DIMENSION', { expected: type.dimension, count: elements.length });
  const vector = Float32Array.from(elements);
  return vector.every((element) => Number.isFinite(element)) ? vector : refuseRange(text, type);
}

function embeddingElements(text: string): readonly number[] | undefined {
  try {
    const value = parseJson(text, { depthMax: 1 });
    if (!Array.isArray(value)) return undefined;
    const elements: number[] = [];
    for (const element of value) {
      if (typeof element !== 'number' && typeof element !== 'bigint') return undefined;
      elements.push(Number(element));
    }
    return elements;
  } catch {
    return undefined;
  }
}

function accept<T>(parsed: ParsedNumber<T>, text: string, type: DataType): T {
  if (parsed.kind === 'value') return parsed.value;
  return parsed.kind === 'malformed' ? refuse(text, type) : refuseRange(text, type);
}

function refuse(text: string, type: DataType): never {
  throw kalamError('INVALID_TEXT', { text: quoted(text), type: sqlTypeName(type) });
}

function refuseRange(text: string, type: DataType): never {
  throw kalamError('VALUE_OUT_OF_RANGE', { value: quoted(text), type: sqlTypeName(type) });
}

/** The text as an error repeats it: not too long, and without halves of surrogate pairs. */
function quoted(text: string): string {
  const short = text.length <= quotedCharactersMax ? text : `${text.slice(0, quotedCharactersMax)}…`;
  return short.replace(/\p{Surrogate}/gu, '\u{fffd}');
}

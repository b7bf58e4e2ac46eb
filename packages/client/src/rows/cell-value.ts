import { invalidArgument } from '../client-error.ts';
import { isObject } from '../messages/json-reading.ts';
import type { KalamDataType } from '../messages/schema-field.ts';
import { FileRef } from './file-ref.ts';
import { SeqId } from './seq-id.ts';

/** What a cell can be before anyone asks for a type. */
export type KalamCellRawValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly KalamCellRawValue[]
  | { readonly [member: string]: KalamCellRawValue };

const MILLIS_PER_DAY = 86_400_000;
/** An untyped number above this is taken for microseconds, below for milliseconds; a typed timestamp is always microseconds. */
const UNTYPED_MICROS_MIN = 1e15;
const INTEGER = /^\s*[-+]?\d+\s*$/;
const DECIMAL = /^\s*[-+]?\d+(\.\d+)?\s*$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TIME = /^\d{2}:\d{2}:\d{2}(\.\d{1,9})?$/;

const validDate = (millis: number): Date | null => {
  const date = new Date(millis);
  return Number.isNaN(date.getTime()) ? null : date;
};

const formatTime = (micros: number): string | null => {
  if (!Number.isInteger(micros) || micros < 0 || micros >= MILLIS_PER_DAY * 1000) return null;
  const clock = new Date(micros / 1000).toISOString().slice(11, 19);
  const fraction = micros % 1_000_000;
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0')}`;
};

/**
 * One cell of a row. Every `as…` answers `null` for SQL NULL and for a value that does not fit, and never throws; BIGINT and
 * DECIMAL stay exact through `asBigInt` and `asDecimal`.
 */
export class KalamCellValue {
  readonly #raw: KalamCellRawValue;
  readonly #type: KalamDataType | undefined;

  private constructor(raw: KalamCellRawValue, type: KalamDataType | undefined) {
    this.#raw = raw;
    this.#type = type;
  }

  /** Wraps a value as it came from JSON; `undefined` counts as NULL. The column's type, when known, removes guesses from `asDate`. */
  static from(raw: unknown, type?: KalamDataType): KalamCellValue {
    if (raw instanceof KalamCellValue) return raw;
    if (typeof raw === 'function' || typeof raw === 'symbol') {
      throw invalidArgument('KalamCellValue', `a ${typeof raw} is not a cell`);
    }
    return new KalamCellValue((raw ?? null) as KalamCellRawValue, type);
  }

  /** The value as it came. */
  toJson(): KalamCellRawValue {
    return this.#raw;
  }

  /** The value as it came; the same as {@link toJson}, for readers who look for an `as…`. */
  asJson(): KalamCellRawValue {
    return this.#raw;
  }

  /** What `JSON.stringify` writes: a bigint as decimal text. */
  toJSON(): unknown {
    return typeof this.#raw === 'bigint' ? this.#raw.toString() : this.#raw;
  }

  /** Text for people; NULL is `NULL`. */
  toString(): string {
    return this.asString() ?? 'NULL';
  }

  isNull(): boolean {
    return this.#raw === null;
  }
  isString(): boolean {
    return typeof this.#raw === 'string';
  }
  isNumber(): boolean {
    return typeof this.#raw === 'number' || typeof this.#raw === 'bigint';
  }
  isBool(): boolean {
    return typeof this.#raw === 'boolean';
  }
  isObject(): boolean {
    return isObject(this.#raw);
  }
  isArray(): boolean {
    return Array.isArray(this.#raw);
  }

  /** Any value as text; objects and arrays as JSON. */
  asString(): string | null {
    if (this.#raw === null) return null;
    if (typeof this.#raw === 'object') {
      return JSON.stringify(this.#raw, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
    }
    return String(this.#raw);
  }

  /** A whole number, fraction cut off; `null` beyond 2^53, where {@link asBigInt} stays exact. */
  asInt(): number | null {
    const value = typeof this.#raw === 'string' && INTEGER.test(this.#raw) ? Number(this.#raw) : this.asFloat();
    if (value === null) return null;
    const whole = Math.trunc(value);
    return Number.isSafeInteger(whole) ? whole : null;
  }

  /** An exact whole number. */
  asBigInt(): bigint | null {
    if (typeof this.#raw === 'bigint') return this.#raw;
    if (typeof this.#raw === 'number') return Number.isFinite(this.#raw) ? BigInt(Math.trunc(this.#raw)) : null;
    return typeof this.#raw === 'string' && INTEGER.test(this.#raw) ? BigInt(this.#raw) : null;
  }

  /** A sequence id, for `_seq`. */
  asSeqId(): SeqId | null {
    const value = this.asBigInt();
    return value === null ? null : SeqId.from(value);
  }

  /** A double; texts that spell a number count, booleans are 1 and 0. */
  asFloat(): number | null {
    if (typeof this.#raw === 'boolean') return this.#raw ? 1 : 0;
    if (typeof this.#raw === 'number' || typeof this.#raw === 'bigint') return Number(this.#raw);
    if (typeof this.#raw !== 'string' || this.#raw.trim() === '') return null;
    const value = Number(this.#raw);
    return Number.isFinite(value) ? value : null;
  }

  /** A truth value; `true`, `false`, `1` and `0` count as text too, any number by being zero or not. */
  asBool(): boolean | null {
    if (typeof this.#raw === 'boolean') return this.#raw;
    if (this.isNumber()) return Number(this.#raw) !== 0;
    if (typeof this.#raw !== 'string') return null;
    const text = this.#raw.trim().toLowerCase();
    if (text === 'true' || text === '1') return true;
    return text === 'false' || text === '0' ? false : null;
  }

  /** A UUID in lower case. */
  asUuid(): string | null {
    return typeof this.#raw === 'string' && UUID.test(this.#raw.trim()) ? this.#raw.trim().toLowerCase() : null;
  }

  /** An exact decimal as text, scale kept: `12.30`. */
  asDecimal(): string | null {
    if (typeof this.#raw === 'bigint') return this.#raw.toString();
    if (typeof this.#raw === 'number') return Number.isFinite(this.#raw) ? String(this.#raw) : null;
    return typeof this.#raw === 'string' && DECIMAL.test(this.#raw) ? this.#raw.trim() : null;
  }

  /** The bytes of a BYTES cell. */
  asBytes(): Uint8Array | null {
    const numbers = Array.isArray(this.#raw) ? this.asEmbedding() : null;
    return numbers?.every((item) => Number.isInteger(item) && item >= 0 && item <= 255) === true ? Uint8Array.from(numbers) : null;
  }

  /** The numbers of an EMBEDDING cell. */
  asEmbedding(): number[] | null {
    const items = this.asArray();
    return items?.every((item) => typeof item === 'number' && Number.isFinite(item)) === true ? items.map(Number) : null;
  }

  /** A point in time: TIMESTAMP and DATETIME (microseconds), DATE (days), or ISO 8601 text. Microseconds below a millisecond are lost. */
  asDate(): Date | null {
    if (this.#type === 'Date') return this.asDateOnly();
    if (typeof this.#raw === 'string' && !DECIMAL.test(this.#raw)) return validDate(Date.parse(this.#raw));
    const value = typeof this.#raw === 'boolean' ? null : this.asFloat();
    if (value === null) return null;
    const micros = this.#type === 'Timestamp' || this.#type === 'DateTime' || Math.abs(value) >= UNTYPED_MICROS_MIN;
    return validDate(micros ? Math.floor(value / 1000) : value);
  }

  /** A DATE (days since 1970, or `YYYY-MM-DD`) as midnight UTC. */
  asDateOnly(): Date | null {
    if (typeof this.#raw === 'string' && !INTEGER.test(this.#raw)) return validDate(Date.parse(this.#raw));
    const days = typeof this.#raw === 'boolean' ? null : this.asInt();
    return days === null ? null : validDate(days * MILLIS_PER_DAY);
  }

  /** A TIME as `HH:mm:ss` or `HH:mm:ss.ffffff`. */
  asTimeString(): string | null {
    if (typeof this.#raw === 'string' && TIME.test(this.#raw.trim())) return this.#raw.trim();
    const micros = typeof this.#raw === 'boolean' ? null : this.asInt();
    return micros === null ? null : formatTime(micros);
  }

  /** An object: as it came, or parsed from the text of a JSON column. */
  asObject(): Record<string, KalamCellRawValue> | null {
    const value = this.#structure();
    return isObject(value) ? { ...value } : null;
  }

  /** An array: as it came, or parsed from the text of a JSON column. */
  asArray(): KalamCellRawValue[] | null {
    const value = this.#structure();
    return Array.isArray(value) ? [...value] : null;
  }

  /** The reference that a FILE cell holds. */
  asFile(): FileRef | null {
    return FileRef.from(this.#raw);
  }

  /** Where the file of a FILE cell is served. */
  asFileUrl(baseUrl: string, namespace: string, table: string): string | null {
    return this.asFile()?.getDownloadUrl(baseUrl, namespace, table) ?? null;
  }

  /** The value, or what its text holds as JSON. */
  #structure(): KalamCellRawValue {
    if (typeof this.#raw !== 'string') return this.#raw;
    try {
      return JSON.parse(this.#raw) as KalamCellRawValue;
    } catch {
      return null;
    }
  }
}

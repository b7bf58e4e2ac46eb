import type {
  DuckDBArrayType,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampValue,
  DuckDBType,
  DuckDBValue,
  DuckDBVector,
} from '@duckdb/node-api';
import { type Cell, type DataType, duckdbType, kalamError, plainType } from '@kalamdb/protocol';
import type { DuckDb } from '@kalamdb/storage';
import type { ResultColumn } from '../../contract.ts';
import type { SentOutput } from './query-messages.ts';

/** A value of a vector that is not NULL. */
type Value = Exclude<DuckDBValue, null>;

/** How a column of DuckDB's result becomes one of an answer. */
export interface ResultReader {
  readonly column: ResultColumn;
  /** Throws VALUE_OUT_OF_RANGE. */
  read(value: Value): Cell;
}

/** The values of a vector. */
export interface Items {
  getItem(index: number): Value | null;
}

/** UTF-8 bytes of one text in an answer. */
const TEXT_BYTES_MAX = 32 * 1024 * 1024;

/** Its own decoder would take a byte order mark from the beginning of a text. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The values of a vector, texts exactly as they are. */
export function itemsOf(db: DuckDb, vector: DuckDBVector): Items {
  if (!(vector instanceof db.DuckDBVarCharVector)) return vector;
  const bytes = db.DuckDBBlobVector.fromRawVector(vector['vector'], vector.itemCount);
  return {
    getItem: (index) => {
      // string_t begins with the length in bytes; a text that is too long is not even copied.
      if (bytes['dataView'].getUint32(index * 16, true) > TEXT_BYTES_MAX && bytes['validity'].itemValid(index)) {
        throw kalamError('QUERY_TOO_LARGE', { max: TEXT_BYTES_MAX, what: 'bytes of one text' });
      }
      const found = bytes.getItemBytes(index);
      return found === null ? null : UTF8.decode(found);
    },
  };
}

/** A result column as DuckDB tells of it. */
export interface FoundColumn {
  readonly name: string;
  readonly type: DuckDBType;
}

/**
 * The reader of a result column: with the flags of the table column that it is, with the type that the rewriting found, else with
 * the one that DuckDB's stands for (wire-protocol 3.5): integers of any width are BIGINT, decimals DOUBLE, and what the dialect
 * has no type for is text.
 */
export function resultReader(db: DuckDb, found: FoundColumn, output: SentOutput | undefined): ResultReader {
  const name = output?.name ?? found.name;
  const type = output?.type;
  if (output !== undefined && type !== undefined && isHeldAs(type, found.type)) {
    const { shownAs, flags } = output;
    return { column: { name, type, ...(shownAs === undefined ? {} : { shownAs }), flags }, read: columnReader(type) };
  }
  const computed = computedReader(db, found.type);
  return { column: { name, type: computed.type, flags: [] }, read: computed.read };
}

function isHeldAs(type: DataType, found: DuckDBType): boolean {
  const text = found.toString();
  return text === duckdbType(type) || (type.kind === 'json' && text === 'JSON');
}

function columnReader(type: DataType): ResultReader['read'] {
  switch (type.kind) {
    case 'boolean':
    case 'smallint':
    case 'int':
    case 'bigint':
    case 'text':
    case 'json':
    case 'file':
      return (value) => value as Cell;
    case 'float':
    case 'double':
      return finite(sqlKind(type));
    case 'decimal':
      return (value) => (value as DuckDBDecimalValue).value;
    case 'timestamp':
    case 'datetime':
      return (value) => fieldOf(value, 'micros');
    case 'date':
      return (value) => (value as { readonly days: number }).days;
    case 'time':
      return (value) => Number(fieldOf(value, 'micros'));
    case 'uuid':
      return (value) => String(value);
    case 'bytes':
      return (value) => new Uint8Array((value as { readonly bytes: Uint8Array }).bytes);
    case 'embedding':
      return (value) => Float32Array.from((value as { readonly items: readonly number[] }).items);
    default:
      return type satisfies never;
  }
}

interface ComputedReader {
  readonly type: DataType;
  readonly read: ResultReader['read'];
}

/** What cannot be said in a type of the dialect. */
const AS_TEXT: ComputedReader = { type: plainType('text'), read: (value) => String(value) };

function computedReader(db: DuckDb, found: DuckDBType): ComputedReader {
  const { DuckDBTypeId: id } = db;
  switch (found.typeId) {
    case id.BOOLEAN:
      return plain('boolean');
    case id.TINYINT:
    case id.SMALLINT:
    case id.INTEGER:
    case id.BIGINT:
    case id.UTINYINT:
    case id.USMALLINT:
    case id.UINTEGER:
    case id.UBIGINT:
    case id.HUGEINT:
    case id.UHUGEINT:
    case id.BIGNUM:
      return { type: plainType('bigint'), read: wholeNumber };
    case id.FLOAT:
      return { type: plainType('double'), read: finite('FLOAT') };
    case id.DOUBLE:
      return { type: plainType('double'), read: finite('DOUBLE') };
    case id.DECIMAL:
      return { type: plainType('double'), read: decimalNumber };
    case id.DATE:
      return { type: plainType('date'), read: finiteDate };
    case id.TIME:
      return plain('time');
    case id.UUID:
      return plain('uuid');
    case id.BLOB:
      return plain('bytes');
    case id.ARRAY:
      return arrayReader(db, found as DuckDBArrayType);
    default:
      return timeReader(db, found) ?? AS_TEXT;
  }
}

function plain(kind: 'boolean' | 'time' | 'uuid' | 'bytes'): ComputedReader {
  const type = plainType(kind);
  return { type, read: columnReader(type) };
}

function arrayReader(db: DuckDb, { valueType, length }: DuckDBArrayType): ComputedReader {
  if (valueType.typeId !== db.DuckDBTypeId.FLOAT) return AS_TEXT;
  const type: DataType = { kind: 'embedding', dimension: length };
  return { type, read: columnReader(type) };
}

/** Timestamps of all units, in microseconds. */
function timeReader({ DuckDBTypeId: id }: DuckDb, { typeId }: DuckDBType): ComputedReader | undefined {
  const type = plainType('timestamp');
  switch (typeId) {
    case id.TIMESTAMP:
    case id.TIMESTAMP_TZ:
      return { type, read: (value) => instant(value, fieldOf(value, 'micros')) };
    case id.TIMESTAMP_S:
      return { type, read: (value) => instant(value, fieldOf(value, 'seconds') * 1_000_000n) };
    case id.TIMESTAMP_MS:
      return { type, read: (value) => instant(value, fieldOf(value, 'millis') * 1000n) };
    case id.TIMESTAMP_NS:
      return { type, read: (value) => instant(value, fieldOf(value, 'nanos') / 1000n) };
    case id.TIME_NS:
      return { type: plainType('time'), read: (value) => Number(fieldOf(value, 'nanos') / 1000n) };
    default:
      return undefined;
  }
}

const INT64_MAX = 2n ** 63n - 1n;

function wholeNumber(value: Value): bigint {
  const found = BigInt(value as number | bigint);
  if (found > INT64_MAX || found < -INT64_MAX - 1n) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(found), type: 'BIGINT' });
  return found;
}

function decimalNumber(value: Value): number {
  return Number(String(value));
}

function finite(type: string): (value: Value) => number {
  return (value) => {
    if (!Number.isFinite(value)) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(value), type });
    return value as number;
  };
}

function finiteDate(value: Value): number {
  const date = value as DuckDBDateValue;
  if (!date.isFinite) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(value), type: 'DATE' });
  return date.days;
}

function instant(value: Value, micros: bigint): bigint {
  if (!(value as DuckDBTimestampValue).isFinite) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(value), type: 'TIMESTAMP' });
  return micros;
}

function fieldOf<K extends string>(value: Value, field: K): bigint {
  return (value as unknown as Readonly<Record<K, bigint>>)[field];
}

function sqlKind(type: DataType): string {
  return type.kind === 'float' ? 'FLOAT' : 'DOUBLE';
}

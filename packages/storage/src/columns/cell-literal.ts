import { cellToText, type DataType, duckdbType, type NonNullCell } from '@kalamdb/protocol';

/** A name in DuckDB's SQL, whatever is in it. */
export function nameLiteral(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in DuckDB's SQL, which knows no escapes but the doubled quote; a NUL would end the statement, so it is put in by number. */
export function textLiteral(text: string): string {
  const pieces = text.split('\0').map((piece) => `'${piece.replaceAll("'", "''")}'`);
  return pieces.length === 1 ? (pieces[0] ?? "''") : `(${pieces.join(' || chr(0) || ')})`;
}

/** The path of one file for DuckDB's readers, which take every path for a pattern. */
export function pathPattern(path: string): string {
  return path.replace(/[*?[]/g, '[$&]');
}

/** Bytes in DuckDB's SQL. */
export function bytesLiteral(bytes: Uint8Array): string {
  return `from_hex('${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}')`;
}

/** The first instant that DuckDB can name. */
const INSTANT_MIN = -9_223_372_022_400_000_000n;
const INT64_MAX = 2n ** 63n - 1n;

/**
 * A cell in DuckDB's SQL, with the type that `duckdbType` says; `undefined` for the instants of a few hours in the year -290308, which it
 * can hold but not name. The cell must be of its type.
 */
export function cellLiteral(cell: NonNullCell, type: DataType): string | undefined {
  const held = duckdbType(type);
  switch (type.kind) {
    case 'text':
    case 'json':
    case 'file':
      return textLiteral(String(cell));
    case 'bytes':
      return cell instanceof Uint8Array ? bytesLiteral(cell) : 'NULL';
    case 'timestamp':
    case 'datetime':
      return instantLiteral(cell as bigint);
    case 'date':
      return `make_date(CAST(${String(cell)} AS INTEGER))`;
    case 'embedding':
      return `CAST([${Array.from(cell as Float32Array, (element) => `CAST('${numberText(element)}' AS FLOAT)`).join(', ')}] AS ${held})`;
    case 'float':
    case 'double':
      return `CAST('${numberText(cell as number)}' AS ${held})`;
    case 'bigint':
      return int64Literal(cell as bigint);
    case 'boolean':
    case 'smallint':
    case 'int':
      return `CAST(${String(cell)} AS ${held})`;
    case 'decimal':
    case 'uuid':
    case 'time':
      return `CAST('${cellToText(cell, type)}' AS ${held})`;
    default:
      return type satisfies never;
  }
}

/** A 64-bit integer in DuckDB's SQL. */
export function int64Literal(value: bigint): string {
  return `CAST('${value}' AS BIGINT)`;
}

/** The greatest and the least but one stand for infinity there. */
function instantLiteral(micros: bigint): string | undefined {
  if (micros === INT64_MAX) return `CAST('infinity' AS TIMESTAMP)`;
  if (micros === -INT64_MAX) return `CAST('-infinity' AS TIMESTAMP)`;
  return micros < INSTANT_MIN ? undefined : `make_timestamp(${int64Literal(micros)})`;
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

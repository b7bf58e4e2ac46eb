import type { DataType } from './data-type.ts';

/**
 * DuckDB's name of the type that stands for a type of the dialect: what the columns of sources and of segments have, and what the
 * rewritten text of a query casts to. JSON and FILE are texts here as they are in cells.
 *
 * | type | DuckDB |
 * |---|---|
 * | BOOLEAN, SMALLINT, BIGINT, FLOAT, DOUBLE, DATE, TIME, UUID | the same |
 * | INT | INTEGER |
 * | DECIMAL(p,s) | DECIMAL(p,s) |
 * | TEXT, JSON, FILE | VARCHAR |
 * | TIMESTAMP, DATETIME | TIMESTAMP (microseconds) |
 * | BYTES | BLOB |
 * | EMBEDDING(n) | FLOAT[n] |
 */
export function duckdbType(type: DataType): string {
  switch (type.kind) {
    case 'int':
      return 'INTEGER';
    case 'text':
    case 'json':
    case 'file':
      return 'VARCHAR';
    case 'timestamp':
    case 'datetime':
      return 'TIMESTAMP';
    case 'bytes':
      return 'BLOB';
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`;
    case 'embedding':
      return `FLOAT[${type.dimension}]`;
    case 'boolean':
    case 'smallint':
    case 'bigint':
    case 'float':
    case 'double':
    case 'date':
    case 'time':
    case 'uuid':
      return type.kind.toUpperCase();
    default:
      return type satisfies never;
  }
}

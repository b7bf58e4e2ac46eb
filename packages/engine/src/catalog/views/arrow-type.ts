import type { DataType } from '@kalamdb/protocol';

/** The Arrow name of a column type, as `information_schema.columns` and DESCRIBE without TABLE spell it. */
export function arrowTypeName(type: DataType): string {
  switch (type.kind) {
    case 'boolean':
      return 'Boolean';
    case 'smallint':
      return 'Int16';
    case 'int':
      return 'Int32';
    case 'bigint':
      return 'Int64';
    case 'float':
      return 'Float32';
    case 'double':
      return 'Float64';
    case 'text':
    case 'json':
    case 'file':
      return 'Utf8';
    case 'bytes':
      return 'Binary';
    case 'uuid':
      return 'FixedSizeBinary(16)';
    case 'timestamp':
      return 'Timestamp(µs)';
    case 'datetime':
      return 'Timestamp(µs, "UTC")';
    case 'date':
      return 'Date32';
    case 'time':
      return 'Time64(µs)';
    case 'decimal':
      return `Decimal128(${type.precision}, ${type.scale})`;
    case 'embedding':
      return `FixedSizeList(${type.dimension} x non-null Float32)`;
    default:
      return type satisfies never;
  }
}

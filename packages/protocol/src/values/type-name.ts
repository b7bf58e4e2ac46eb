import { kalamError } from '../errors/kalam-error.ts';
import type { DataType, PlainTypeKind } from './data-type.ts';

const decimalPrecisionMax = 38;
const embeddingDimensionMax = 8192;

/** How `schema[].data_type` spells a type on the wire (wire-protocol 3.5). */
export type WireType =
  | string
  | { readonly Embedding: number }
  | { readonly Decimal: { readonly precision: number; readonly scale: number } };

/** SQL name and wire name of each plain type; the types themselves are frozen singletons. */
const plainTypes: Readonly<Record<PlainTypeKind, { readonly type: DataType; readonly sql: string; readonly wire: string }>> = {
  boolean: { type: Object.freeze({ kind: 'boolean' }), sql: 'BOOLEAN', wire: 'Boolean' },
  smallint: { type: Object.freeze({ kind: 'smallint' }), sql: 'SMALLINT', wire: 'SmallInt' },
  int: { type: Object.freeze({ kind: 'int' }), sql: 'INT', wire: 'Int' },
  bigint: { type: Object.freeze({ kind: 'bigint' }), sql: 'BIGINT', wire: 'BigInt' },
  float: { type: Object.freeze({ kind: 'float' }), sql: 'FLOAT', wire: 'Float' },
  double: { type: Object.freeze({ kind: 'double' }), sql: 'DOUBLE', wire: 'Double' },
  text: { type: Object.freeze({ kind: 'text' }), sql: 'TEXT', wire: 'Text' },
  timestamp: { type: Object.freeze({ kind: 'timestamp' }), sql: 'TIMESTAMP', wire: 'Timestamp' },
  datetime: { type: Object.freeze({ kind: 'datetime' }), sql: 'DATETIME', wire: 'DateTime' },
  date: { type: Object.freeze({ kind: 'date' }), sql: 'DATE', wire: 'Date' },
  time: { type: Object.freeze({ kind: 'time' }), sql: 'TIME', wire: 'Time' },
  json: { type: Object.freeze({ kind: 'json' }), sql: 'JSON', wire: 'Json' },
  bytes: { type: Object.freeze({ kind: 'bytes' }), sql: 'BYTES', wire: 'Bytes' },
  uuid: { type: Object.freeze({ kind: 'uuid' }), sql: 'UUID', wire: 'Uuid' },
  file: { type: Object.freeze({ kind: 'file' }), sql: 'FILE', wire: 'File' },
};

/** Every accepted spelling (sql-dialect B5 and A2, and what PostgreSQL's grammar turns them into) of the plain types. */
const spellings: Readonly<Record<PlainTypeKind, readonly string[]>> = {
  boolean: ['boolean', 'bool'],
  smallint: ['smallint', 'int2', 'smallserial'],
  int: ['int', 'integer', 'int4', 'mediumint', 'signed', 'serial'],
  bigint: ['bigint', 'int8', 'int64', 'bigserial', 'unsigned'],
  float: ['float', 'real', 'float4'],
  double: ['double', 'double precision', 'float8', 'float64'],
  text: [
    'text',
    'varchar',
    'char',
    'string',
    'nvarchar',
    'clob',
    'array',
    'enum',
    'set',
    'struct',
    'character',
    'character varying',
    'bpchar',
  ],
  timestamp: ['timestamp', 'timestamptz', 'timestamp with time zone', 'timestamp without time zone'],
  datetime: ['datetime'],
  date: ['date'],
  time: ['time', 'time without time zone'],
  json: ['json', 'jsonb'],
  bytes: ['bytes', 'bytea', 'blob', 'binary', 'varbinary'],
  uuid: ['uuid'],
  file: ['file'],
};

const kindBySpelling: ReadonlyMap<string, PlainTypeKind> = new Map(
  Object.values(plainTypes).flatMap(({ type }) =>
    type.kind === 'decimal' || type.kind === 'embedding' ? [] : spellings[type.kind].map((name) => [name, type.kind] as const),
  ),
);

const typeByWireName: ReadonlyMap<string, DataType> = new Map(Object.values(plainTypes).map(({ type, wire }) => [wire, type]));

/** Kinds whose names may carry a length or precision that has no meaning here: `VARCHAR(255)`, `TIMESTAMP(6)`, `INT(11)`. */
const kindsWithIgnoredParameter: ReadonlySet<PlainTypeKind> = new Set([
  'smallint',
  'int',
  'bigint',
  'float',
  'double',
  'text',
  'bytes',
  'timestamp',
  'datetime',
  'time',
]);

/** The type of a kind without parameters: always the same frozen object. */
export function plainType(kind: PlainTypeKind): DataType {
  return plainTypes[kind].type;
}

/**
 * The type that a name in SQL stands for: any case, any spelling of sql-dialect B5, with the numbers in parentheses after it.
 * A length or precision on texts, integers, bytes and times is accepted and has no effect.
 * Throws UNSUPPORTED_TYPE for unknown names, INVALID_TYPE_PARAMETER for wrong parameters.
 */
export function parseTypeName(name: string, parameters: readonly number[]): DataType {
  const spelling = name.trim().toLowerCase().replace(/\s+/g, ' ');
  if (spelling === 'decimal' || spelling === 'dec' || spelling === 'numeric') return decimalType(parameters);
  if (spelling === 'embedding') return embeddingType(parameters);
  const kind = kindBySpelling.get(spelling) ?? customTextKind(spelling);
  if (kind === undefined) throw kalamError('UNSUPPORTED_TYPE', { type: name });
  if (parameters.length > 0 && !kindsWithIgnoredParameter.has(kind)) {
    throw kalamError('INVALID_TYPE_PARAMETER', { reason: `${plainTypes[kind].sql} takes no parameters` });
  }
  return plainTypes[kind].type;
}

function customTextKind(spelling: string): PlainTypeKind | undefined {
  return spelling.endsWith('text') || spelling.endsWith('string') || /^array\s?<.*>$/.test(spelling) ? 'text' : undefined;
}

function decimalType(parameters: readonly number[]): DataType {
  if (parameters.length > 2)
    throw kalamError('INVALID_TYPE_PARAMETER', { reason: 'DECIMAL takes a precision and a scale, e.g., DECIMAL(10, 2)' });
  const [precision = decimalPrecisionMax, scale = parameters.length === 0 ? 10 : 0] = parameters;
  if (!Number.isInteger(precision) || precision < 1 || precision > decimalPrecisionMax) {
    throw kalamError('INVALID_TYPE_PARAMETER', {
      reason: `DECIMAL precision must be between 1 and ${decimalPrecisionMax} (found ${precision})`,
    });
  }
  if (!Number.isInteger(scale) || scale < 0 || scale > precision) {
    throw kalamError('INVALID_TYPE_PARAMETER', {
      reason: `DECIMAL scale must be between 0 and the precision ${precision} (found ${scale})`,
    });
  }
  return { kind: 'decimal', precision, scale };
}

function embeddingType(parameters: readonly number[]): DataType {
  const [dimension] = parameters;
  if (dimension === undefined || parameters.length !== 1) {
    throw kalamError('INVALID_TYPE_PARAMETER', { reason: 'EMBEDDING type requires exactly one dimension parameter, e.g., EMBEDDING(384)' });
  }
  const subject = 'EMBEDDING dimension';
  if (!Number.isInteger(dimension) || dimension < 0) {
    throw kalamError('INVALID_TYPE_PARAMETER', { reason: `${subject} must be a positive integer, got '${dimension}'` });
  }
  if (dimension < 1) throw kalamError('INVALID_TYPE_PARAMETER', { reason: `${subject} must be at least 1` });
  if (dimension > embeddingDimensionMax) {
    throw kalamError('INVALID_TYPE_PARAMETER', { reason: `${subject} must be at most ${embeddingDimensionMax} (found ${dimension})` });
  }
  return { kind: 'embedding', dimension };
}

/** How SQL writes the type: `BIGINT`, `DECIMAL(10, 2)`, `EMBEDDING(384)`. {@link parseTypeName} reads it back. */
export function sqlTypeName(type: DataType): string {
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.precision}, ${type.scale})`;
    case 'embedding':
      return `EMBEDDING(${type.dimension})`;
    default:
      return plainTypes[type.kind].sql;
  }
}

/** How the wire spells the type. */
export function wireType(type: DataType): WireType {
  switch (type.kind) {
    case 'decimal':
      return { Decimal: { precision: type.precision, scale: type.scale } };
    case 'embedding':
      return { Embedding: type.dimension };
    default:
      return plainTypes[type.kind].wire;
  }
}

/** Inverse of {@link wireType}. Throws UNSUPPORTED_TYPE or INVALID_TYPE_PARAMETER. */
export function fromWireType(wire: WireType): DataType {
  if (typeof wire === 'string') {
    const type = typeByWireName.get(wire);
    if (type === undefined) throw kalamError('UNSUPPORTED_TYPE', { type: wire });
    return type;
  }
  return 'Embedding' in wire ? embeddingType([wire.Embedding]) : decimalType([wire.Decimal.precision, wire.Decimal.scale]);
}

/** Whether two types are the same, parameters included. */
export function sameType(a: DataType, b: DataType): boolean {
  if (a.kind === 'decimal') return b.kind === 'decimal' && a.precision === b.precision && a.scale === b.scale;
  if (a.kind === 'embedding') return b.kind === 'embedding' && a.dimension === b.dimension;
  return a.kind === b.kind;
}

import type { DataType, TypeKind } from '@kalamdb/protocol';

const INTEGERS: ReadonlySet<TypeKind> = new Set(['smallint', 'int', 'bigint']);
const TEXTS: ReadonlySet<TypeKind> = new Set(['text', 'json', 'file', 'uuid']);
const INSTANTS: ReadonlySet<TypeKind> = new Set(['timestamp', 'datetime']);

/** SMALLINT, INT, BIGINT. */
export function isInteger(type: DataType): boolean {
  return INTEGERS.has(type.kind);
}

/** FLOAT, DOUBLE. */
export function isFloating(type: DataType): boolean {
  return type.kind === 'float' || type.kind === 'double';
}

/** Integers, decimals and floating-point types. */
export function isNumeric(type: DataType): boolean {
  return isInteger(type) || isFloating(type) || type.kind === 'decimal';
}

/** Types whose cells are strings. */
export function isTextual(type: DataType): boolean {
  return TEXTS.has(type.kind);
}

/** TIMESTAMP and DATETIME: the same cells. */
export function isInstant(type: DataType): boolean {
  return INSTANTS.has(type.kind);
}

/** The JavaScript type of a type's cells. */
export type Representation = 'boolean' | 'number' | 'bigint' | 'string' | 'bytes' | 'vector';

/** See {@link Representation}. */
export function representation(type: DataType): Representation {
  switch (type.kind) {
    case 'boolean':
      return 'boolean';
    case 'smallint':
    case 'int':
    case 'float':
    case 'double':
    case 'date':
    case 'time':
      return 'number';
    case 'bigint':
    case 'decimal':
    case 'timestamp':
    case 'datetime':
      return 'bigint';
    case 'text':
    case 'json':
    case 'file':
    case 'uuid':
      return 'string';
    case 'bytes':
      return 'bytes';
    case 'embedding':
      return 'vector';
    default:
      return type satisfies never;
  }
}

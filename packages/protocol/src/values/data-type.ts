/** A column type of the dialect. Parameters travel with the kind, so two types are the same type when {@link sameType} says so. */
export type DataType =
  | { readonly kind: PlainTypeKind }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'embedding'; readonly dimension: number };

/** The kinds that take no parameters. */
export type PlainTypeKind =
  | 'boolean'
  | 'smallint'
  | 'int'
  | 'bigint'
  | 'float'
  | 'double'
  | 'text'
  | 'timestamp'
  | 'datetime'
  | 'date'
  | 'time'
  | 'json'
  | 'bytes'
  | 'uuid'
  | 'file';

/** Every kind of type, parametrised ones included. */
export type TypeKind = DataType['kind'];

/**
 * A value as the engine holds it. Which JavaScript type stands for which column type:
 *
 * | column type | cell |
 * |---|---|
 * | any, NULL | `null` |
 * | boolean | `boolean` |
 * | smallint, int | `number`, an integer in range |
 * | bigint | `bigint` in the signed 64-bit range |
 * | float | `number`, already rounded to 32 bits (`Math.fround`), finite |
 * | double | `number`, finite |
 * | decimal(p,s) | `bigint`: the value times 10^s, fewer than 10^p in magnitude |
 * | text, json, file | `string` without lone surrogates |
 * | uuid | `string`, lower case, hyphenated |
 * | timestamp, datetime | `bigint`: microseconds since 1970-01-01T00:00:00Z |
 * | date | `number`: days since 1970-01-01 |
 * | time | `number`: microseconds since midnight, 0 … 86 399 999 999 |
 * | bytes | `Uint8Array` |
 * | embedding(n) | `Float32Array` of length n, finite elements |
 */
export type Cell = null | boolean | number | bigint | string | Uint8Array | Float32Array;

/** A cell that is not SQL NULL. */
export type NonNullCell = Exclude<Cell, null>;

/** The cells of one row in column order. */
export type Row = readonly Cell[];

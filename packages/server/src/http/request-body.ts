import { isUtf8 } from 'node:buffer';
import { type JsonObject, type JsonValue, kalamError, parseJson } from '@kalamdb/protocol';

const INT64_MAX = 2n ** 63n - 1n;

/** One text member of a body. */
export interface TextField {
  readonly name: string;
  /** Other spellings of the name. */
  readonly aliases?: readonly string[];
  readonly required: boolean;
  readonly charactersMax: number;
}

/** Whether a content type is JSON: a case-insensitive prefix decides, so parameters may follow. */
export function isJsonType(contentType: string | undefined): boolean {
  return contentType?.trimStart().toLowerCase().startsWith('application/json') === true;
}

/** The value of a JSON body. Throws INVALID_INPUT; 64-bit integers survive. */
export function parseBody(contentType: string | undefined, body: unknown): JsonValue {
  if (!isJsonType(contentType)) throw kalamError('INVALID_INPUT', { reason: 'Content type error' });
  const bytes = body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : Buffer.alloc(0);
  if (bytes.length === 0) throw malformed('EOF while parsing a value at line 1 column 0');
  if (!isUtf8(bytes)) throw malformed('the body is not UTF-8');
  try {
    return parseJson(bytes.toString('utf8'));
  } catch (cause) {
    if (cause instanceof Error) throw malformed(cause.message);
    throw cause;
  }
}

/** The members of a value that must be an object. */
export function asObject(value: JsonValue): JsonObject {
  if (!isObject(value)) throw malformed(`invalid type: ${nameOf(value)}, expected an object`);
  return value;
}

/** Whether a JSON value is an object. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The text members of an object, by name; absent ones are missing from the answer. Unknown members are refused, so that
 * a misspelt option is not silently ignored. Throws INVALID_INPUT.
 */
export function textFields(object: JsonObject, fields: readonly TextField[]): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [key, value] of Object.entries(object)) {
    const field = fields.find(({ name, aliases }) => name === key || aliases?.includes(key) === true);
    if (field === undefined) throw malformed(`unknown field \`${key.slice(0, 100)}\`, expected one of ${expected(fields)}`);
    if (Object.hasOwn(found, field.name)) throw malformed(`duplicate field \`${field.name}\``);
    if (value === null && !field.required) continue;
    if (typeof value !== 'string') throw malformed(`invalid type: ${nameOf(value)}, expected a string`);
    if (value.length > field.charactersMax) throw malformed(`${field.name} exceeds maximum length of ${field.charactersMax} characters`);
    found[field.name] = value;
  }
  const missing = fields.find(({ name, required }) => required && !Object.hasOwn(found, name));
  if (missing !== undefined) throw malformed(`missing field \`${missing.name}\``);
  return found;
}

/** What a JSON value is, for error texts. */
export function nameOf(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'sequence';
  if (typeof value === 'number') return Number.isInteger(value) ? `integer \`${value}\`` : `floating point \`${value}\``;
  if (typeof value === 'bigint') return `integer \`${value}\``;
  return typeof value === 'object' ? 'map' : typeof value;
}

/** A `_seq`: a 64-bit integer, or its decimal digits for clients that cannot write large integers; `undefined`: it is none. */
export function seqOf(value: JsonValue): bigint | undefined {
  const seq = typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : integerOf(value);
  return seq === undefined || seq > INT64_MAX || seq < -INT64_MAX ? undefined : seq;
}

function integerOf(value: JsonValue): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/** A body that is JSON but not what the route takes, or not JSON at all. */
export function malformed(what: string): Error {
  return kalamError('INVALID_INPUT', { reason: `Json deserialize error: ${what}` });
}

function expected(fields: readonly TextField[]): string {
  return fields.flatMap(({ name, aliases = [] }) => [name, ...aliases].map((spelling) => `\`${spelling}\``)).join(', ');
}

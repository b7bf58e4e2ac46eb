import type { JsonObject, JsonValue } from '@kalamdb/protocol';

/** Texts that may hold a bare integer beyond a double: 17 digits, or 16 that begin with 9. */
const needsExactIntegers = /(?:^|[:,[])\s*-?(?:9\d{15}|\d{17})/;
/** A string, so that its digits are left alone, or a number. */
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;
const longInteger = /^-?\d{16,}$/;

const exactToken = (token: string): string => (longInteger.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token);

/** Whether a value is an object with members. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads JSON without losing digits: a bare integer beyond ±(2^53-1) becomes decimal text, which is how the wire spells
 * 64-bit integers everywhere but in the three members that position a batch. Throws `SyntaxError`.
 *
 * | text | value |
 * |---|---|
 * | `{"last_seq_id":316847529014263808}` | `{ last_seq_id: '316847529014263808' }` |
 * | `["316847529014263808",1e300,7]` | unchanged |
 */
export function readJson(text: string): JsonValue {
  const exact = needsExactIntegers.test(text) ? text.replace(stringOrNumber, exactToken) : text;
  return JSON.parse(exact) as JsonValue;
}

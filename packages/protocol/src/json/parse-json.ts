import { kalamError } from '../errors/kalam-error.ts';
import { JsonReader } from './json-reader.ts';
import type { JsonValue } from './json-value.ts';

/** Bounds on what {@link parseJson} accepts. */
export interface JsonLimits {
  /** Levels of arrays and objects; 64 unless given. */
  readonly depthMax?: number;
}

const depthMaxDefault = 64;

/**
 * Texts in which the native parser could lose something: an integer from 2^53 on (17 digits, or 16 that begin with 9), or an
 * exponent that could overflow. Such digits inside a string only send the text the slower way.
 */
const needsExactNumbers = /(?:^|[:,[])\s*-?(?:9\d{15}|\d{17})|\d[eE]\+?\d{3}/;
/**
 * Parses JSON (RFC 8259) without losing integers: those beyond ±(2^53-1) become bigints. A number with a fraction or an
 * exponent is a double. The last of several members with one name wins; `__proto__` is a member like any other.
 * Throws INVALID_INPUT with the offset when the text is not JSON, nests deeper than the limit or has a number too large for a double.
 */
export function parseJson(text: string, limits: JsonLimits = {}): JsonValue {
  const depthMax = limits.depthMax ?? depthMaxDefault;
  if (!needsExactNumbers.test(text) && !nestsDeeperThan(text, depthMax)) {
    try {
      return JSON.parse(text) as JsonValue;
    } catch (cause) {
      // read it again below: the error then says where, in the same words on every runtime
      if (!(cause instanceof SyntaxError)) throw cause;
    }
  }
  const read = new JsonReader(text, depthMax).read();
  if (read.kind === 'value') return read.value;
  throw kalamError('INVALID_INPUT', { reason: `Invalid JSON at offset ${read.offset}: ${read.reason}` });
}

function nestsDeeperThan(text: string, depthMax: number): boolean {
  if (text.length <= depthMax) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) {
      i = endOfString(text, i + 1);
    } else if (unit === 0x5b || unit === 0x7b) {
      depth++;
      if (depth > depthMax) return true;
    } else if (unit === 0x5d || unit === 0x7d) {
      depth--;
    }
  }
  return false;
}

/** Offset of the quote that ends the string whose first character is at `from`, or of the text's end. */
function endOfString(text: string, from: number): number {
  let end = text.indexOf('"', from);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

function isEscaped(text: string, offset: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(offset - 1 - backslashes) === 0x5c) backslashes++;
  return backslashes % 2 === 1;
}

import { isDigit } from './characters.ts';
import type { StringForm } from './scanner.ts';

/** What a literal or a parameter was when it was written. It decides how the binder types it. */
export type LiteralKind = 'null' | 'boolean' | 'integer' | 'decimal' | 'string';

const QUOTE = 39;
const BACKSLASH = 92;

/** The digits of a number literal: decimal, or with one of PostgreSQL's prefixes and separators. */
const PLAIN_NUMBER = /^(\d+)(\.\d*)?(e[+-]?\d+)?$|^(\.\d+)(e[+-]?\d+)?$/i;

/**
 * The value of a `string` token that lies at `start` … `end` of `text`. `undefined`: an escape in it is malformed, or stands for
 * a byte that is no character by itself.
 */
export function stringValue(text: string, start: number, end: number, form: StringForm): string | undefined {
  switch (form) {
    case 'plain':
      return text.slice(start + 1, end - 1);
    case 'doubled':
      return joinSegments(text.slice(start, end)).replaceAll("''", "'");
    case 'escape':
      return unescaped(text.slice(start + 1, end));
    case 'dollar': {
      const tag = text.indexOf('$', start + 1) + 1 - start;
      return text.slice(start + tag, end - tag);
    }
    default:
      return form satisfies never;
  }
}

/** The name that a double-quoted token stands for. */
export function quotedName(text: string, start: number, end: number): string {
  return text.slice(start + 1, end - 1).replaceAll('""', '"');
}

/** `'a' ⏎ 'b'` as `a` + `b`, quotes in it still doubled. */
function joinSegments(raw: string): string {
  let joined = '';
  let from = 1;
  for (;;) {
    let close = raw.indexOf("'", from);
    while (raw.charCodeAt(close + 1) === QUOTE) close = raw.indexOf("'", close + 2);
    joined += raw.slice(from, close);
    if (close === raw.length - 1) return joined;
    from = raw.indexOf("'", close + 1) + 1;
  }
}

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

/** The value of `'…'` with backslash escapes (the `E` is cut off). */
function unescaped(raw: string): string | undefined {
  let value = '';
  let index = 1;
  let from = 1;
  for (;;) {
    const code = raw.charCodeAt(index);
    if (code !== QUOTE && code !== BACKSLASH) {
      index += 1;
      continue;
    }
    value += raw.slice(from, index);
    if (code === BACKSLASH) {
      const read = readEscape(raw, index + 1);
      if (read === undefined) return undefined;
      value += read.value;
      index = read.end;
    } else if (raw.charCodeAt(index + 1) === QUOTE) {
      value += "'";
      index += 2;
    } else if (index === raw.length - 1) {
      return wellFormed(value);
    } else {
      index = raw.indexOf("'", index + 1) + 1;
    }
    from = index;
  }
}

interface Escape {
  readonly value: string;
  readonly end: number;
}

/** One escape; `index` is behind the backslash. */
function readEscape(raw: string, index: number): Escape | undefined {
  const letter = raw.charAt(index);
  const simple = SIMPLE_ESCAPES.get(letter);
  if (simple !== undefined) return { value: simple, end: index + 1 };
  if (letter === 'u') return readCode(raw, index + 1, { digits: 4, fewest: 4, radix: 16, max: 0x10ffff });
  if (letter === 'U') return readCode(raw, index + 1, { digits: 8, fewest: 8, radix: 16, max: 0x10ffff });
  if (letter === 'x') return readCode(raw, index + 1, { digits: 2, fewest: 1, radix: 16, max: 127 });
  if (letter >= '0' && letter <= '7') return readCode(raw, index, { digits: 3, fewest: 1, radix: 8, max: 127 });
  const whole = String.fromCodePoint(raw.codePointAt(index) ?? 0);
  return { value: whole, end: index + whole.length };
}

function readCode(
  raw: string,
  index: number,
  form: { readonly digits: number; readonly fewest: number; readonly radix: 8 | 16; readonly max: number },
): Escape | undefined {
  const pattern = form.radix === 16 ? /^[0-9a-f]*/i : /^[0-7]*/;
  const digits = pattern.exec(raw.slice(index, index + form.digits))?.[0] ?? '';
  if (digits.length < form.fewest) return undefined;
  const code = Number.parseInt(digits, form.radix);
  if (code === 0 || code > form.max) return undefined;
  return { value: String.fromCodePoint(code), end: index + digits.length };
}

function wellFormed(value: string): string | undefined {
  return /\p{Surrogate}/u.test(value) ? undefined : value;
}

/** Whether a number token is decimal digits only: hexadecimal and separated ones are left to the parser, which knows what is malformed. */
export function isPlainNumber(raw: string): boolean {
  const second = raw.charCodeAt(1) | 32;
  return !(raw.charCodeAt(0) === 48 && second >= 97) && !raw.includes('_');
}

/** What an unsigned number token says, in one spelling: integers without leading zeros, decimals with a digit before and after the point. */
export function numberLiteral(raw: string): { readonly kind: Extract<LiteralKind, 'integer' | 'decimal'>; readonly text: string } {
  const digits = raw.includes('_') ? raw.replaceAll('_', '') : raw;
  if (allDigits(digits)) return { kind: 'integer', text: withoutLeadingZeros(digits) };
  if (!PLAIN_NUMBER.test(digits)) return { kind: 'integer', text: BigInt(digits).toString() };
  const leading = digits.startsWith('.') ? `0${digits}` : digits;
  return { kind: 'decimal', text: leading.replace(/\.(?!\d)/, '.0') };
}

function allDigits(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (!isDigit(text.charCodeAt(index))) return false;
  return true;
}

function withoutLeadingZeros(digits: string): string {
  let zeros = 0;
  while (zeros < digits.length - 1 && digits.charCodeAt(zeros) === 48) zeros += 1;
  return zeros === 0 ? digits : digits.slice(zeros);
}

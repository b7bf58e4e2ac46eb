/** A piece of JSON text: where a value begins and ends. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/** Deepest nesting that is walked; deeper texts count as malformed. */
const DEPTH_MAX = 512;

/** What kind of value a JSON text holds, told by its first character. */
export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/**
 * The member of an object or the element of an array (negative: from the end) as it is written in the text, digits and
 * spelling kept; `undefined` when it is not there or the text on the way to it is not JSON. Nothing is parsed into objects.
 */
export function jsonStep(text: string, step: string | number): string | undefined {
  const start = skipSpace(text, 0);
  const spans = typeof step === 'string' ? members(text, start) : elements(text, start);
  if (spans === undefined) return undefined;
  const found = typeof step === 'string' ? spans.findLast((span) => span.key === step) : spans.at(step);
  return found === undefined ? undefined : text.slice(found.start, found.end);
}

/** Keys of an object in the order written; `undefined` for anything else. */
export function jsonKeys(text: string): readonly string[] | undefined {
  const spans = members(text, skipSpace(text, 0));
  return spans === undefined ? undefined : [...new Set(spans.map((span) => span.key))];
}

/** Members of an object or elements of an array; `undefined` for anything else. */
export function jsonLength(text: string): number | undefined {
  return jsonKeys(text)?.length ?? elements(text, skipSpace(text, 0))?.length;
}

/** The kind of a JSON text; `undefined` if it does not begin like one. */
export function jsonKind(text: string): JsonKind | undefined {
  switch (text.charAt(skipSpace(text, 0))) {
    case '{':
      return 'object';
    case '[':
      return 'array';
    case '"':
      return 'string';
    case 't':
    case 'f':
      return 'boolean';
    case 'n':
      return 'null';
    case '':
      return undefined;
    default:
      return /^\s*-?\d/.test(text) ? 'number' : undefined;
  }
}

/** A JSON value as `->>` gives it: a string without its quotes, anything else as written, `undefined` for null. */
export function jsonAsText(text: string): string | undefined {
  const kind = jsonKind(text);
  if (kind === 'null') return undefined;
  return kind === 'string' ? readString(text.trim()) : text;
}

/** The elements of an array of texts and the keys of an object: what `?` looks through. */
export function jsonHasKey(text: string, key: string): boolean {
  if (jsonKind(text) === 'string') return readString(text.trim()) === key;
  const keys = jsonKeys(text);
  if (keys !== undefined) return keys.includes(key);
  const items = elements(text, skipSpace(text, 0)) ?? [];
  return items.some((span) => text.charAt(span.start) === '"' && readString(text.slice(span.start, span.end)) === key);
}

function readString(text: string): string | undefined {
  if (!text.includes('\\')) return text.slice(1, -1);
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

interface Member extends Span {
  readonly key: string;
}

function members(text: string, open: number): Member[] | undefined {
  if (text.charAt(open) !== '{') return undefined;
  const found: Member[] = [];
  let at = skipSpace(text, open + 1);
  if (text.charAt(at) === '}') return found;
  for (;;) {
    const keyEnd = text.charAt(at) === '"' ? skipString(text, at) : -1;
    const key = keyEnd < 0 ? undefined : readString(text.slice(at, keyEnd));
    const colon = skipSpace(text, keyEnd);
    if (key === undefined || text.charAt(colon) !== ':') return undefined;
    const start = skipSpace(text, colon + 1);
    const end = skipValue(text, start);
    if (end < 0) return undefined;
    found.push({ key, start, end });
    const next = skipSpace(text, end);
    if (text.charAt(next) === '}') return found;
    if (text.charAt(next) !== ',') return undefined;
    at = skipSpace(text, next + 1);
  }
}

function elements(text: string, open: number): (Span & { readonly key?: undefined })[] | undefined {
  if (text.charAt(open) !== '[') return undefined;
  const found: Span[] = [];
  let at = skipSpace(text, open + 1);
  if (text.charAt(at) === ']') return found;
  for (;;) {
    const end = skipValue(text, at);
    if (end < 0) return undefined;
    found.push({ start: at, end });
    const next = skipSpace(text, end);
    if (text.charAt(next) === ']') return found;
    if (text.charAt(next) !== ',') return undefined;
    at = skipSpace(text, next + 1);
  }
}

function skipSpace(text: string, from: number): number {
  let at = Math.max(0, from);
  while (at < text.length && text.charCodeAt(at) <= 32) at += 1;
  return at;
}

/** The index behind a value; -1 if there is none. */
function skipValue(text: string, start: number): number {
  const first = text.charAt(start);
  if (first === '"') return skipString(text, start);
  if (first === '{' || first === '[') return skipNested(text, start);
  let at = start;
  while (at < text.length && !/[\s,\]}]/.test(text.charAt(at))) at += 1;
  return at === start ? -1 : at;
}

/** The index behind a string that begins at `start`; -1 if it does not end. */
function skipString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34) return at + 1;
    if (code === 92) at += 1;
  }
  return -1;
}

/** The index behind an object or array: brackets are counted, strings passed over. */
function skipNested(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at = skipString(text, at) - 1;
      if (at < 0) return -1;
    } else if (code === 123 || code === 91) {
      depth += 1;
      if (depth > DEPTH_MAX) return -1;
    } else if (code === 125 || code === 93) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

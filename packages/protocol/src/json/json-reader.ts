import type { JsonValue } from './json-value.ts';

/** Digits of an integer that is read exactly; a longer one is refused. */
const integerDigitsMax = 1_000;

const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const fourHexDigits = /^[0-9a-fA-F]{4}$/;

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** The value of the text, or where and why it has none. */
export type JsonReading =
  | { readonly kind: 'value'; readonly value: JsonValue }
  | { readonly kind: 'invalid'; readonly offset: number; readonly reason: string };

/** Thrown inside the reader only: unwinds the recursion to {@link JsonReader.read}. */
class Invalid extends Error {}

/** Reads one JSON text, once. Exact for integers; `JSON.parse` gives no access to their digits. */
export class JsonReader {
  readonly #text: string;
  readonly #depthMax: number;
  #offset = 0;
  #depth = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  /** The value of the whole text. */
  read(): JsonReading {
    try {
      const value = this.#value();
      this.#skipSpace();
      if (this.#offset < this.#text.length) throw new Invalid('text after the value');
      return { kind: 'value', value };
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      return { kind: 'invalid', offset: this.#offset, reason: error.message };
    }
  }

  #value(): JsonValue {
    this.#skipSpace();
    switch (this.#text[this.#offset]) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      case undefined:
        throw new Invalid('unexpected end');
      default:
        return this.#number();
    }
  }

  #nested(read: () => JsonValue): JsonValue {
    if (this.#depth === this.#depthMax) throw new Invalid(`nested deeper than ${this.#depthMax} levels`);
    this.#depth++;
    this.#offset++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): JsonValue {
    const members: Record<string, JsonValue> = {};
    this.#skipSpace();
    if (this.#take('}')) return members;
    do {
      this.#skipSpace();
      if (this.#text[this.#offset] !== '"') throw new Invalid('expected a member name');
      const name = this.#string();
      this.#skipSpace();
      if (!this.#take(':')) throw new Invalid("expected ':'");
      const value = this.#value();
      // an assignment to `__proto__` would set the prototype
      if (name === '__proto__') Object.defineProperty(members, name, { value, configurable: true, enumerable: true, writable: true });
      else members[name] = value;
      this.#skipSpace();
    } while (this.#take(','));
    if (!this.#take('}')) throw new Invalid("expected ',' or '}'");
    return members;
  }

  #array(): JsonValue {
    const elements: JsonValue[] = [];
    this.#skipSpace();
    if (this.#take(']')) return elements;
    do {
      elements.push(this.#value());
      this.#skipSpace();
    } while (this.#take(','));
    if (!this.#take(']')) throw new Invalid("expected ',' or ']'");
    return elements;
  }

  #string(): string {
    this.#offset++;
    let text = this.#plainCharacters();
    while (!this.#take('"')) {
      if (!this.#take('\\')) throw new Invalid(this.#offset < this.#text.length ? 'control character in a string' : 'unterminated string');
      text += this.#escape() + this.#plainCharacters();
    }
    return text;
  }

  /** The characters up to a quote, a backslash, a control character or the end. */
  #plainCharacters(): string {
    const start = this.#offset;
    let end = start;
    for (let unit = this.#text.charCodeAt(end); unit >= 0x20 && unit !== 0x22 && unit !== 0x5c; unit = this.#text.charCodeAt(end)) end++;
    this.#offset = end;
    return this.#text.slice(start, end);
  }

  #escape(): string {
    const letter = this.#text[this.#offset] ?? '';
    if (letter === 'u') {
      const digits = this.#text.slice(this.#offset + 1, this.#offset + 5);
      if (!fourHexDigits.test(digits)) throw new Invalid('invalid escape');
      this.#offset += 5;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const character = escapes.get(letter);
    if (character === undefined) throw new Invalid('invalid escape');
    this.#offset++;
    return character;
  }

  #number(): JsonValue {
    number.lastIndex = this.#offset;
    const match = number.exec(this.#text);
    if (match === null) throw new Invalid('unexpected character');
    const [digits, fraction, exponent] = match;
    const value = Number(digits);
    if (fraction === undefined && exponent === undefined && !Number.isSafeInteger(value)) {
      if (digits.length > integerDigitsMax) throw new Invalid('integer too long');
      this.#offset += digits.length;
      return BigInt(digits);
    }
    if (!Number.isFinite(value)) throw new Invalid('number too large');
    this.#offset += digits.length;
    return value;
  }

  #word(word: string, value: JsonValue): JsonValue {
    if (!this.#text.startsWith(word, this.#offset)) throw new Invalid('unexpected character');
    this.#offset += word.length;
    return value;
  }

  #take(character: string): boolean {
    if (this.#text[this.#offset] !== character) return false;
    this.#offset++;
    return true;
  }

  #skipSpace(): void {
    for (let unit = this.#text.charCodeAt(this.#offset); isSpace(unit); unit = this.#text.charCodeAt(this.#offset)) this.#offset++;
  }
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}

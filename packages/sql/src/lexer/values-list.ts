import type { Cell } from '@kalamdb/protocol';
import { isDigit, isSpace } from './characters.ts';
import { isPlainNumber, numberLiteral, stringValue } from './literal-value.ts';
import { isWordAt, Scanner } from './scanner.ts';

/** The kinds of constants, as bits, so that those of a whole column are one number. */
export const CONSTANT = { null: 1, boolean: 2, integer: 4, decimal: 8, string: 16, default: 32 } as const;

/** One of the bits of {@link CONSTANT}. */
export type ConstantKind = (typeof CONSTANT)[keyof typeof CONSTANT];

/**
 * The value of a constant. An integer is a number up to 15 digits and a bigint up to 64 bits; longer ones are decimals. A decimal is
 * its text, so that no digit is lost; a string is what it says, without quotes and escapes; NULL and DEFAULT are null.
 */
export type ConstantValue = string | number | bigint | boolean | null;

/** An INSERT whose VALUES are nothing but constants, all tuples equally wide. */
export interface ValuesList {
  /** The text up to and with VALUES, comments and white space between tokens reduced to one space. */
  readonly head: string;
  /** What follows the tuples, in the same form: ON CONFLICT, RETURNING; empty when nothing does. */
  readonly tail: string;
  /** Constants in a tuple, at least 1. */
  readonly width: number;
  /** Tuple after tuple. */
  readonly kinds: readonly ConstantKind[];
  /** As many as `kinds`. */
  readonly values: readonly ConstantValue[];
  /** For each place of a tuple all kinds that stand there in some tuple. */
  readonly columnKinds: readonly number[];
}

/**
 * Reads `INSERT INTO name [(names)] VALUES (constants), …` without parsing it; ON CONFLICT and RETURNING may follow. Constants are literals, NULL, TRUE, FALSE, DEFAULT and
 * the client's `parameters` by their values. `undefined` for anything else: only a parser knows what that means, or what is wrong
 * with it. What is read here is an INSERT in PostgreSQL's grammar if `head` with any one tuple and `tail` is. Throws UNTERMINATED_STRING and
 * UNTERMINATED_COMMENT only.
 */
export function readValuesList(text: string, parameters: readonly Cell[]): ValuesList | undefined {
  const reader = openTuples(text, parameters);
  return reader?.read(Number.POSITIVE_INFINITY) === 'end' ? reader.list() : undefined;
}

/** Tuples that one step reads. */
const STEP_TUPLES = 64;

/** {@link readValuesList} in short steps, for long texts. */
export function* readValuesListSteps(text: string, parameters: readonly Cell[]): Generator<undefined, ValuesList | undefined> {
  const reader = openTuples(text, parameters);
  if (reader === undefined) return undefined;
  let at = reader.read(STEP_TUPLES);
  for (; at === 'between'; at = reader.read(STEP_TUPLES)) yield;
  return at === 'end' ? reader.list() : undefined;
}

function openTuples(text: string, parameters: readonly Cell[]): TupleReader | undefined {
  const scanner = new Scanner(text);
  if (scanner.next() !== 'word' || !isWord(scanner, 'insert') || text.includes('\0')) return undefined;
  const head = readHead(scanner);
  return head === undefined ? undefined : new TupleReader(scanner, head, parameters);
}

function isWord(scanner: Scanner, word: string): boolean {
  return scanner.end - scanner.start === word.length && isWordAt(scanner.text, scanner.start, word);
}

/** From INSERT, at which the scanner stands, to VALUES. */
function readHead(scanner: Scanner): string | undefined {
  const tokens = new HeadReader(scanner);
  if (tokens.next() !== 'word' || !isWord(scanner, 'into')) return undefined;
  do {
    if (!tokens.nextName()) return undefined;
    tokens.next();
  } while (tokens.isSymbol(DOT));
  if (tokens.isSymbol(OPEN)) {
    do {
      if (!tokens.nextName()) return undefined;
      tokens.next();
    } while (tokens.isSymbol(COMMA));
    if (!tokens.isSymbol(CLOSE)) return undefined;
    tokens.next();
  }
  return scanner.kind === 'word' && isWord(scanner, 'values') ? tokens.text() : undefined;
}

const QUOTE = 39;
const OPEN = 40;
const CLOSE = 41;
const COMMA = 44;
const MINUS = 45;
const DOT = 46;
const SLASH = 47;
const SEMICOLON = 59;

/** Collects the text of the tokens that it goes over. */
class HeadReader {
  readonly #scanner: Scanner;
  #text = '';
  #copied: number;

  constructor(scanner: Scanner) {
    this.#scanner = scanner;
    this.#copied = scanner.start;
  }

  next(): Scanner['kind'] {
    const scanner = this.#scanner;
    const before = scanner.end;
    const kind = scanner.next();
    const gap = scanner.start - before;
    if (gap > 1 || (gap === 1 && scanner.text.charCodeAt(before) !== 32)) {
      this.#text += `${scanner.text.slice(this.#copied, before)} `;
      this.#copied = scanner.start;
    }
    return kind;
  }

  nextName(): boolean {
    const kind = this.next();
    return kind === 'word' || kind === 'quoted';
  }

  isSymbol(code: number): boolean {
    const { kind, start, end, text } = this.#scanner;
    return kind === 'symbol' && end - start === 1 && text.charCodeAt(start) === code;
  }

  text(): string {
    return this.#text + this.#scanner.text.slice(this.#copied, this.#scanner.end);
  }
}

/** Units of a text in whose tail literals may stand. */
const LITERAL_TAIL_UNITS = 16 * 1024;

/** Integers with no more digits than this are exact as doubles. */
const EXACT_DIGITS_MAX = 15;

/**
 * Reads tuples of constants. The usual spellings are read here, character by character; the scanner reads the others (and comments).
 */
class TupleReader {
  readonly kinds: ConstantKind[] = [];
  readonly values: ConstantValue[] = [];
  readonly columnKinds: number[] = [];
  readonly #head: string;
  #tail = '';
  #width = 0;
  /** Values of the tuples that were read. */
  #count = 0;
  readonly #scanner: Scanner;
  readonly #text: string;
  readonly #parameters: readonly Cell[];
  #index: number;

  constructor(scanner: Scanner, head: string, parameters: readonly Cell[]) {
    this.#scanner = scanner;
    this.#head = head;
    this.#text = scanner.text;
    this.#parameters = parameters;
    this.#index = scanner.end;
  }

  /** What was read; call when {@link read} has come to the end. */
  list(): ValuesList {
    const { kinds, values, columnKinds } = this;
    return { head: this.#head, tail: this.#tail, width: this.#width, kinds, values, columnKinds };
  }

  /** Reads at most so many tuples and tells where it stands; `lost`: there is something else than tuples of one width. */
  read(tuplesMax: number): 'between' | 'end' | 'lost' {
    for (let left = tuplesMax; left > 0; left--) {
      if (!this.#readTuple()) return 'lost';
      if (this.#width === 0) this.#width = this.values.length;
      this.#count += this.#width;
      if (this.values.length !== this.#count) return 'lost';
      const code = this.#skipTo();
      if (code !== COMMA) {
        const ends = code === SEMICOLON || Number.isNaN(code);
        return (ends ? this.#endsHere() : this.#readTail()) ? 'end' : 'lost';
      }
      this.#index += 1;
    }
    return 'between';
  }

  #endsHere(): boolean {
    if (this.#skipTo() === SEMICOLON) this.#index += 1;
    this.#skipTo();
    return this.#index >= this.#text.length;
  }

  /** Reads what may follow the tuples; literals in it belong to the form of the statement, which is worth it only for long texts. */
  #readTail(): boolean {
    const scanner = this.#scanner;
    scanner.end = this.#index;
    scanner.next();
    if (scanner.kind !== 'word' || !(isWord(scanner, 'on') || isWord(scanner, 'returning'))) return false;
    const tokens = new HeadReader(scanner);
    const literals = this.#text.length > LITERAL_TAIL_UNITS;
    let ended: string | undefined;
    for (let text = tokens.text(); ; text = tokens.text()) {
      const kind = tokens.next();
      if (kind === 'end') {
        this.#tail = ended ?? text;
        return true;
      }
      if (ended !== undefined || kind === 'parameter' || kind === 'invalid') return false;
      if (!literals && (kind === 'string' || kind === 'number')) return false;
      if (tokens.isSymbol(SEMICOLON)) ended = text;
    }
  }

  #readTuple(): boolean {
    if (this.#skipTo() !== OPEN) return false;
    for (let column = 0; ; column++) {
      this.#index += 1;
      const kind = this.#readConstant(this.#skipTo());
      if (kind === undefined) return false;
      this.kinds.push(kind);
      this.columnKinds[column] = (this.columnKinds[column] ?? 0) | kind;
      const code = this.#skipTo();
      if (code === CLOSE) {
        this.#index += 1;
        return true;
      }
      if (code !== COMMA) return false;
    }
  }

  /** Goes to the next token and returns its first unit, NaN at the end. */
  #skipTo(): number {
    const text = this.#text;
    let code = text.charCodeAt(this.#index);
    while (isSpace(code)) {
      this.#index += 1;
      code = text.charCodeAt(this.#index);
    }
    if (code !== SLASH && (code !== MINUS || text.charCodeAt(this.#index + 1) !== MINUS)) return code;
    this.#scanner.end = this.#index;
    this.#scanner.next();
    this.#index = this.#scanner.start;
    return text.charCodeAt(this.#index);
  }

  #readConstant(code: number): ConstantKind | undefined {
    if (code === QUOTE) return this.#readString() ?? this.#readToken();
    if (code === MINUS) return this.#readNumber(this.#index + 1) ?? this.#readToken();
    return (isDigit(code) ? this.#readNumber(this.#index) : undefined) ?? this.#readToken();
  }

  /** A string without quotes in it that cannot go on behind a line break. */
  #readString(): ConstantKind | undefined {
    const text = this.#text;
    const from = this.#index + 1;
    const close = text.indexOf("'", from);
    const following = text.charCodeAt(close + 1);
    if (close === -1 || (following !== COMMA && following !== CLOSE)) return undefined;
    this.#index = close + 1;
    this.values.push(text.slice(from, close));
    return CONSTANT.string;
  }

  /** Digits with or without a fraction; `from` is behind the sign. */
  #readNumber(from: number): ConstantKind | undefined {
    const text = this.#text;
    const start = this.#index;
    let index = from;
    let value = 0;
    let code = text.charCodeAt(index);
    for (; isDigit(code); code = text.charCodeAt(index)) {
      value = value * 10 + (code - 48);
      index += 1;
    }
    if (index === from) return undefined;
    const whole = code !== DOT;
    if (!whole) {
      const point = index;
      do {
        index += 1;
        code = text.charCodeAt(index);
      } while (isDigit(code));
      if (index === point + 1) return undefined;
    } else if (index - from > EXACT_DIGITS_MAX) {
      return undefined;
    }
    if (code !== COMMA && code !== CLOSE && !isSpace(code)) return undefined;
    this.#index = index;
    if (whole) this.values.push(start === from ? value : 0 - value);
    else this.values.push(text.slice(start, index));
    return whole ? CONSTANT.integer : CONSTANT.decimal;
  }

  /** Any constant. */
  #readToken(): ConstantKind | undefined {
    const scanner = this.#scanner;
    scanner.end = this.#index;
    const kind = scanner.next();
    const { start, end, form } = scanner;
    this.#index = end;
    switch (kind) {
      case 'string': {
        const value = stringValue(this.#text, start, end, form);
        if (value === undefined) return undefined;
        this.values.push(value);
        return CONSTANT.string;
      }
      case 'number':
        return this.#number(start, end, '');
      case 'operator':
        return this.#negative(start, end);
      case 'word':
        return this.#word();
      case 'parameter':
        return this.#parameter(Number(this.#text.slice(start + 1, end)));
      default:
        return undefined;
    }
  }

  #negative(sign: number, behind: number): ConstantKind | undefined {
    const text = this.#text;
    if (text.charCodeAt(sign) !== MINUS || behind !== sign + 1) return undefined;
    if (this.#scanner.next() !== 'number') return undefined;
    const { start, end } = this.#scanner;
    if (start > behind + 1 || (start > behind && text.charCodeAt(behind) !== 32)) return undefined;
    return this.#number(start, end, '-');
  }

  #number(start: number, end: number, sign: '' | '-'): ConstantKind | undefined {
    const raw = this.#text.slice(start, end);
    if (!isPlainNumber(raw)) return undefined;
    const literal = numberLiteral(raw);
    this.#index = end;
    const text = `${sign}${literal.text}`;
    const integer = literal.kind === 'integer' ? BigInt(text) : undefined;
    if (integer === undefined || BigInt.asIntN(64, integer) !== integer) {
      this.values.push(text);
      return CONSTANT.decimal;
    }
    this.values.push(integer);
    return CONSTANT.integer;
  }

  #word(): ConstantKind | undefined {
    const scanner = this.#scanner;
    if (isWord(scanner, 'null')) return this.#push(CONSTANT.null, null);
    if (isWord(scanner, 'default')) return this.#push(CONSTANT.default, null);
    if (isWord(scanner, 'true')) return this.#push(CONSTANT.boolean, true);
    return isWord(scanner, 'false') ? this.#push(CONSTANT.boolean, false) : undefined;
  }

  #parameter(index: number): ConstantKind | undefined {
    const cell = this.#parameters[index - 1];
    switch (typeof cell) {
      case 'string':
        return this.#push(CONSTANT.string, cell);
      case 'bigint':
        return this.#push(CONSTANT.integer, cell);
      case 'number':
        return this.#push(CONSTANT.decimal, String(cell));
      case 'boolean':
        return this.#push(CONSTANT.boolean, cell);
      default:
        return cell === null ? this.#push(CONSTANT.null, null) : undefined;
    }
  }

  #push(kind: ConstantKind, value: ConstantValue): ConstantKind {
    this.values.push(value);
    return kind;
  }
}

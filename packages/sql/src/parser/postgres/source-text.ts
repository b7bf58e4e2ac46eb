import { quotedName } from '../../lexer/literal-value.ts';
import { checkText, syntaxError } from '../../lexer/position.ts';
import { Scanner, type TokenKind } from '../../lexer/scanner.ts';
import { NESTING_MAX, NestingMeter } from './nesting.ts';

/** Longer names are cut off by PostgreSQL's scanner. */
const NAME_BYTES_MAX = 63;

/** Keywords that the dialect also takes with `()`. */
const CALLED_KEYWORDS: ReadonlySet<string> = new Set(
  'current_user current_role session_user current_date current_time current_timestamp localtime localtimestamp'.split(' '),
);

interface Edit {
  readonly start: number;
  readonly end: number;
  /** As long as what it replaces, so that offsets stay. */
  readonly text: string;
}

/**
 * A statement as PostgreSQL's grammar takes it: the dialect's liberties (`CURRENT_USER()`, a trailing comma) and comments, which
 * libpg-query stumbles over inside `NOT BETWEEN` and the like, are blanked out, and names
 * longer than the grammar keeps are replaced by stand-ins. Knows the way back: from byte offsets to positions, from stand-ins to names.
 */
export class SourceText {
  /** What is parsed; every token stands where it stands in the original. */
  readonly text: string;
  readonly #original: string;
  readonly #names: ReadonlyMap<string, string>;
  #unitsOfBytes: Uint32Array | undefined;

  /** Throws SYNTAX_ERROR for text that cannot be a statement: too deep, with forbidden characters. Unterminated texts throw as in the scanner. */
  constructor(original: string) {
    checkText(original);
    this.#original = original;
    const preparation = new Preparation(original);
    this.#names = preparation.names;
    this.text = applyEdits(original, preparation.edits);
  }

  /** The position of a byte offset of the parser; unknown offsets (negative) are the start. */
  position(byteOffset: number | undefined): number {
    if (byteOffset === undefined || byteOffset <= 0) return 0;
    this.#unitsOfBytes ??= unitsOfBytes(this.text);
    return this.#unitsOfBytes.length === 0 ? byteOffset : (this.#unitsOfBytes[byteOffset] ?? this.text.length);
  }

  /** The position of the parser's cursor, which counts code points. */
  cursor(codePoints: number): number {
    let units = 0;
    for (let left = codePoints; left > 0 && units < this.text.length; left--) {
      units += (this.text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1;
    }
    return units;
  }

  /** The name that was written where the parser says `name`. */
  name(name: string): string {
    return name.length < 8 ? name : (this.#names.get(name) ?? name);
  }

  /** The unquoted word at a position, lower case. */
  wordAt(position: number): string {
    const scanner = new Scanner(this.#original);
    scanner.end = position;
    return scanner.next() === 'word' ? this.#original.slice(scanner.start, scanner.end).toLowerCase() : '';
  }
}

/** For each byte of the text's UTF-8 form the UTF-16 unit it belongs to; empty when all are ASCII. */
function unitsOfBytes(text: string): Uint32Array {
  const bytes = Buffer.byteLength(text);
  if (bytes === text.length) return new Uint32Array(0);
  const units = new Uint32Array(bytes + 1);
  let byte = 0;
  for (let unit = 0; unit < text.length; ) {
    const code = text.codePointAt(unit) ?? 0;
    const width = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    units.fill(unit, byte, byte + width);
    byte += width;
    unit += code > 0xffff ? 2 : 1;
  }
  units[bytes] = text.length;
  return units;
}

function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = '';
  let from = 0;
  for (const edit of edits.toSorted((left, right) => left.start - right.start)) {
    result += text.slice(from, edit.start) + edit.text;
    from = edit.end;
  }
  return result + text.slice(from);
}

/** One pass over the tokens that finds the edits. */
class Preparation {
  readonly edits: Edit[] = [];
  readonly names: Map<string, string> = new Map();
  readonly #text: string;
  readonly #prefix: string;
  #comma = -1;
  #keyword = false;
  #parenthesis = -1;
  #called = false;

  constructor(text: string) {
    this.#text = text;
    let prefix = 'kdblong';
    while (text.toLowerCase().includes(prefix)) prefix += 'g';
    this.#prefix = prefix;
    const scanner = new Scanner(text);
    const nesting = new NestingMeter();
    for (let before = 0; ; before = scanner.end) {
      const kind = scanner.next();
      this.#gap(before, scanner.start);
      if (kind === 'end') return;
      if (nesting.add(scanner) > NESTING_MAX) throw syntaxError(text, scanner.start, `nested more than ${NESTING_MAX} levels deep`);
      this.#token(scanner, kind);
    }
  }

  #token(scanner: Scanner, kind: TokenKind): void {
    const { start, end } = scanner;
    const token = kind === 'symbol' || (kind === 'word' && end - start <= NAME_BYTES_MAX) ? this.#text.slice(start, end).toLowerCase() : '';
    if (this.#comma !== -1 && (token === ')' || token === 'from')) this.#blank(this.#comma, this.#comma + 1);
    if (this.#called && token === '(') throw syntaxError(this.#text, start, 'syntax error at or near "("');
    this.#called = token === ')' && this.#parenthesis !== -1;
    if (this.#called) {
      this.#blank(this.#parenthesis, this.#parenthesis + 1);
      this.#blank(start, end);
    }
    this.#comma = token === ',' ? start : -1;
    this.#parenthesis = token === '(' && this.#keyword ? start : -1;
    this.#keyword = kind === 'word' && CALLED_KEYWORDS.has(token);
    if (kind === 'word' || kind === 'quoted') this.#shorten(start, end, kind === 'quoted');
  }

  /** A gap with a comment becomes all spaces, so that texts on both sides of it stay apart. */
  #gap(start: number, end: number): void {
    if (end - start < 2) return;
    const gap = this.#text.slice(start, end);
    if (gap.includes('--') || gap.includes('/*')) this.#blank(start, end);
  }

  #blank(start: number, end: number): void {
    this.edits.push({ start, end, text: ' '.repeat(end - start) });
  }

  #shorten(start: number, end: number, quoted: boolean): void {
    if (end - start <= NAME_BYTES_MAX / 3) return;
    const name = quoted ? quotedName(this.#text, start, end) : this.#text.slice(start, end);
    if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return;
    const width = end - start - (quoted ? 2 : 0);
    const standIn = `${this.#prefix}${this.names.size}_`.padEnd(width, 'x');
    this.names.set(standIn.slice(0, NAME_BYTES_MAX), quoted ? name : name.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()));
    this.edits.push({ start, end, text: quoted ? `"${standIn}"` : standIn });
  }
}

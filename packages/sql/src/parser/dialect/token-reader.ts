import type { KalamError } from '@kalamdb/protocol';
import { numberLiteral, quotedName, stringValue } from '../../lexer/literal-value.ts';
import { syntaxError } from '../../lexer/position.ts';
import { Scanner, type TokenKind } from '../../lexer/scanner.ts';
import type { QualifiedName } from '../../statement/ast.ts';

/** A token with its value: of words the lower-case form, of quoted names and texts what they stand for, else the text itself. */
export interface Token {
  readonly kind: TokenKind;
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/** Makes the error for something unexpected at `position`. */
export type Refusal = (reason: string, position: number) => KalamError;

/**
 * Walks through the tokens of one statement. `accept…` methods take a token if it is there; the others fail with the refusal the
 * reader was made with, by default SYNTAX_ERROR, which names what was expected and what was found. A trailing `;` is no token.
 */
export class TokenReader {
  readonly text: string;
  readonly #tokens: readonly Token[];
  readonly #refusal: Refusal;
  #index = 0;

  constructor(text: string, refusal?: Refusal) {
    this.text = text;
    this.#refusal = refusal ?? ((reason, position) => syntaxError(text, position, reason));
    this.#tokens = readTokens(text);
  }

  /** The token `ahead` of the next one; behind the last there is only `end`. */
  peek(ahead = 0): Token {
    const last = this.#tokens.length - 1;
    return this.#tokens[Math.min(this.#index + ahead, last)] ?? { kind: 'end', value: '', start: this.text.length, end: this.text.length };
  }

  next(): Token {
    const token = this.peek();
    this.#index += 1;
    return token;
  }

  /** Where the next token starts. */
  get position(): number {
    return this.peek().start;
  }

  isWord(word: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'word' && token.value === word;
  }

  /** Takes these words if they come next, all of them or none. */
  acceptWords(words: string): boolean {
    const list = words.split(' ');
    if (!list.every((word, ahead) => this.isWord(word, ahead))) return false;
    this.#index += list.length;
    return true;
  }

  /** Takes the one of these words that comes next. */
  acceptOneOf<W extends string>(words: readonly W[]): W | undefined {
    const found = words.find((word) => this.isWord(word));
    if (found !== undefined) this.#index += 1;
    return found;
  }

  expectWords(words: string): void {
    for (const word of words.split(' ')) {
      if (!this.acceptWords(word)) throw this.unexpected(word.toUpperCase());
    }
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return (token.kind === 'symbol' || token.kind === 'operator') && token.value === symbol;
  }

  acceptSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.#index += 1;
    return true;
  }

  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) throw this.unexpected(`'${symbol}'`);
  }

  /** A name, quoted or not, folded to lower case: what is created is compared without case. */
  name(what: string): string {
    const token = this.peek();
    if (token.kind !== 'word' && token.kind !== 'quoted') throw this.unexpected(what);
    this.#index += 1;
    return token.value.toLowerCase();
  }

  /** `[namespace.]name` of a table. */
  qualifiedName(): QualifiedName {
    const position = this.position;
    const first = this.name('a table name');
    if (!this.acceptSymbol('.')) return { namespace: undefined, name: first, position };
    return { namespace: first, name: this.name('a table name'), position };
  }

  /** A text in quotes. */
  string(what: string): string {
    const token = this.peek();
    if (token.kind !== 'string') throw this.unexpected(what);
    this.#index += 1;
    return token.value;
  }

  /** A word, quoted name or text, as it was written. */
  nameOrString(what: string): string {
    const token = this.peek();
    if (token.kind !== 'word' && token.kind !== 'quoted' && token.kind !== 'string') throw this.unexpected(what);
    this.#index += 1;
    return token.kind === 'word' ? this.text.slice(token.start, token.end) : token.value;
  }

  /** A number without sign and fraction. */
  integer(what: string): number {
    const token = this.peek();
    const literal = token.kind === 'number' ? numberLiteral(token.value) : undefined;
    if (literal?.kind !== 'integer') throw this.unexpected(what);
    this.#index += 1;
    return Number(literal.text);
  }

  get atEnd(): boolean {
    return this.peek().kind === 'end';
  }

  expectEnd(): void {
    if (!this.atEnd) throw this.unexpected('the end of the statement');
  }

  /** The error that the next token is not what was expected. */
  unexpected(expected: string): KalamError {
    const token = this.peek();
    const found = token.kind === 'end' ? 'the end' : this.text.slice(token.start, token.end).slice(0, 64);
    return this.refuse(`Expected: ${expected}, found: ${found}`, token.start);
  }

  /** The error for `reason` at a position, by default that of the next token. */
  refuse(reason: string, position: number = this.position): KalamError {
    return this.#refusal(reason, position);
  }
}

function readTokens(text: string): readonly Token[] {
  const scanner = new Scanner(text);
  const tokens: Token[] = [];
  for (;;) {
    const kind = scanner.next();
    tokens.push({ kind, value: tokenValue(text, scanner), start: scanner.start, end: scanner.end });
    if (kind === 'end') break;
  }
  while (tokens.length > 1 && tokens[tokens.length - 2]?.value === ';' && tokens[tokens.length - 2]?.kind === 'symbol')
    tokens.splice(-2, 1);
  return tokens;
}

function tokenValue(text: string, scanner: Scanner): string {
  const { kind, start, end, form } = scanner;
  if (kind === 'quoted') return quotedName(text, start, end);
  if (kind === 'word') return text.slice(start, end).toLowerCase();
  if (kind !== 'string') return text.slice(start, end);
  const value = stringValue(text, start, end, form);
  if (value === undefined) throw syntaxError(text, start, 'malformed escape in a text');
  return value;
}

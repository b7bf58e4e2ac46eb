import { kalamError } from '@kalamdb/protocol';
import { characterClass, continuesName, DIGIT, DOLLAR, isDigit, isSpace, LETTER, OPERATOR, SYMBOL } from './characters.ts';
import { errorPosition } from './position.ts';

/**
 * - `word`: an unquoted name or keyword; `quoted`: a double-quoted name; `parameter`: `$1`
 * - `string`: `'…'`, `E'…'`, `$tag$…$tag$`, also several `'…'` that a line break joins; `special-string`: `B'…'`, `X'…'`, `N'…'`, `U&'…'`, `U&"…"`
 * - `symbol`: one of `( ) , ; . [ ] :` or `::`, `:=`, `..`; `operator`: anything else made of operator characters
 * - `invalid`: a character that starts no token, or a number or parameter that runs into a name (`5OR`)
 * - `end`: behind the last token
 */
export type TokenKind =
  | 'word'
  | 'quoted'
  | 'string'
  | 'special-string'
  | 'number'
  | 'parameter'
  | 'operator'
  | 'symbol'
  | 'invalid'
  | 'end';

/** How the value of a `string` token is written. `plain`: it stands between the quotes as it is. */
export type StringForm = 'plain' | 'doubled' | 'escape' | 'dollar';

const QUOTE = 39;
const DOUBLE_QUOTE = 34;
const MINUS = 45;
const SLASH = 47;
const STAR = 42;
const PLUS = 43;
const DOT = 46;
const COLON = 58;
const BACKSLASH = 92;
const NEWLINE = 10;

/**
 * Finds the tokens of a statement one after the other, by PostgreSQL's rules, in one pass and without making strings. The fields
 * describe the current token until the next call of {@link next}; comments and white space lie between tokens.
 * `next` throws UNTERMINATED_STRING or UNTERMINATED_COMMENT, nothing else, and never reads a character more than a few times.
 */
export class Scanner {
  readonly text: string;
  kind: TokenKind = 'end';
  /** First unit of the token. */
  start = 0;
  /** First unit behind the token. */
  end = 0;
  /** Of a `word`: {@link wordHash} of its lower-case form. */
  hash = 0;
  /** Of a `string`. */
  form: StringForm = 'plain';

  constructor(text: string) {
    this.text = text;
  }

  next(): TokenKind {
    const start = this.#skipBlank(this.end);
    this.start = start;
    const code = this.text.charCodeAt(start);
    switch (characterClass(code)) {
      case LETTER:
        return this.#scanWord(start, code);
      case DIGIT:
        return this.#scanNumber(start);
      case SYMBOL:
        return this.#scanSymbol(start, code);
      case OPERATOR:
        return this.#scanOperator(start);
      case DOLLAR:
        return this.#scanDollar(start);
      default:
        if (code === QUOTE) return this.#scanString(start, start, false);
        if (code === DOUBLE_QUOTE) return this.#finish('quoted', this.#closing(start + 1, DOUBLE_QUOTE, start));
        if (start >= this.text.length) return this.#finish('end', start);
        return this.#finish('invalid', start + 1);
    }
  }

  #finish(kind: TokenKind, end: number): TokenKind {
    this.kind = kind;
    this.end = end;
    return kind;
  }

  #skipBlank(from: number): number {
    const text = this.text;
    let index = from;
    for (;;) {
      const code = text.charCodeAt(index);
      if (isSpace(code)) {
        index += 1;
      } else if (code === MINUS && text.charCodeAt(index + 1) === MINUS) {
        index = this.#lineEnd(index);
      } else if (code === SLASH && text.charCodeAt(index + 1) === STAR) {
        index = this.#commentEnd(index);
      } else {
        return index;
      }
    }
  }

  #lineEnd(from: number): number {
    const text = this.text;
    let index = from;
    for (let code = text.charCodeAt(index); index < text.length && code !== NEWLINE && code !== 13; code = text.charCodeAt(index))
      index += 1;
    return index;
  }

  #commentEnd(start: number): number {
    const text = this.text;
    let depth = 0;
    let index = start;
    while (index < text.length) {
      const code = text.charCodeAt(index);
      const following = text.charCodeAt(index + 1);
      if (code === SLASH && following === STAR) {
        depth += 1;
        index += 2;
      } else if (code === STAR && following === SLASH) {
        depth -= 1;
        index += 2;
        if (depth === 0) return index;
      } else {
        index += 1;
      }
    }
    throw kalamError('UNTERMINATED_COMMENT', {}, { position: errorPosition(text, start) });
  }

  #scanWord(start: number, first: number): TokenKind {
    const text = this.text;
    const second = text.charCodeAt(start + 1);
    if (second === QUOTE) {
      const letter = first | 32;
      if (letter === 101) return this.#scanString(start, start + 1, true);
      if (letter === 98 || letter === 120 || letter === 110) return this.#scanSpecial(start, start + 1);
    } else if (second === 38 && (first | 32) === 117) {
      const third = text.charCodeAt(start + 2);
      if (third === QUOTE) return this.#scanSpecial(start, start + 2);
      if (third === DOUBLE_QUOTE) return this.#finish('special-string', this.#closing(start + 3, DOUBLE_QUOTE, start));
    }
    let hash = 0;
    let index = start;
    let code = first;
    do {
      hash = (hash * 31 + (code >= 65 && code <= 90 ? code | 32 : code)) | 0;
      index += 1;
      code = text.charCodeAt(index);
    } while (continuesName(code));
    this.hash = hash;
    return this.#finish('word', index);
  }

  /** The offset behind the quote that closes a text; doubled quotes belong to it. */
  #closing(from: number, quote: number, start: number): number {
    const text = this.text;
    const mark = quote === QUOTE ? "'" : '"';
    let index = text.indexOf(mark, from);
    while (index !== -1 && text.charCodeAt(index + 1) === quote) {
      this.form = 'doubled';
      index = text.indexOf(mark, index + 2);
    }
    if (index === -1) throw kalamError('UNTERMINATED_STRING', {}, { position: errorPosition(text, start) });
    return index + 1;
  }

  #closingEscaped(from: number, start: number): number {
    const text = this.text;
    let index = from;
    while (index < text.length) {
      const code = text.charCodeAt(index);
      if (code === BACKSLASH) {
        index += 2;
      } else if (code !== QUOTE) {
        index += 1;
      } else if (text.charCodeAt(index + 1) === QUOTE) {
        index += 2;
      } else {
        return index + 1;
      }
    }
    throw kalamError('UNTERMINATED_STRING', {}, { position: errorPosition(text, start) });
  }

  #scanString(start: number, quote: number, escapes: boolean): TokenKind {
    this.form = 'plain';
    let end = escapes ? this.#closingEscaped(quote + 1, start) : this.#closing(quote + 1, QUOTE, start);
    for (let next = this.#continuation(end); next !== -1; next = this.#continuation(end)) {
      this.form = 'doubled';
      end = escapes ? this.#closingEscaped(next + 1, start) : this.#closing(next + 1, QUOTE, start);
    }
    if (escapes) this.form = 'escape';
    return this.#finish('string', end);
  }

  #scanSpecial(start: number, quote: number): TokenKind {
    this.#scanString(start, quote, false);
    this.kind = 'special-string';
    return this.kind;
  }

  /** Where a string goes on after white space that holds a line break; -1 if it does not. */
  #continuation(from: number): number {
    const text = this.text;
    let broken = false;
    for (let index = from; ; index++) {
      const code = text.charCodeAt(index);
      if (!isSpace(code)) return broken && code === QUOTE ? index : -1;
      broken = broken || code === NEWLINE || code === 13;
    }
  }

  #scanNumber(start: number): TokenKind {
    const text = this.text;
    const letter = text.charCodeAt(start + 1) | 32;
    let index = start;
    if (text.charCodeAt(start) === 48 && (letter === 120 || letter === 111 || letter === 98)) {
      index = this.#digits(start + 2, true);
    } else {
      index = this.#digits(start, false);
      if (text.charCodeAt(index) === DOT && text.charCodeAt(index + 1) !== DOT) index = this.#digits(index + 1, false);
      index = this.#exponent(index);
    }
    return this.#finishNumber('number', index);
  }

  #digits(from: number, hexadecimal: boolean): number {
    const text = this.text;
    let index = from;
    for (;;) {
      const code = text.charCodeAt(index);
      const letter = code | 32;
      const digit = isDigit(code) || (code === 95 && index > from) || (hexadecimal && letter >= 97 && letter <= 102);
      if (!digit) return index;
      index += 1;
    }
  }

  #exponent(from: number): number {
    const text = this.text;
    if ((text.charCodeAt(from) | 32) !== 101) return from;
    const sign = text.charCodeAt(from + 1);
    const digits = sign === PLUS || sign === MINUS ? from + 2 : from + 1;
    return isDigit(text.charCodeAt(digits)) ? this.#digits(digits, false) : from;
  }

  #finishNumber(kind: TokenKind, from: number): TokenKind {
    let index = from;
    while (continuesName(this.text.charCodeAt(index))) index += 1;
    return this.#finish(index === from ? kind : 'invalid', index);
  }

  #scanSymbol(start: number, code: number): TokenKind {
    const following = this.text.charCodeAt(start + 1);
    if (code === DOT && isDigit(following)) {
      return this.#finishNumber('number', this.#exponent(this.#digits(start + 1, false)));
    }
    const pair = (code === COLON && (following === COLON || following === 61)) || (code === DOT && following === DOT);
    return this.#finish('symbol', pair ? start + 2 : start + 1);
  }

  /** A run of operator characters; it ends before a comment, and not in `+` or `-` unless one of `~!@#%^&|?` and backtick is in it. */
  #scanOperator(start: number): TokenKind {
    const text = this.text;
    let index = start;
    let free = false;
    for (;;) {
      const code = text.charCodeAt(index);
      if (characterClass(code) !== OPERATOR) break;
      const following = text.charCodeAt(index + 1);
      if ((code === MINUS && following === MINUS) || (code === SLASH && following === STAR)) break;
      free = free || !(code === PLUS || code === MINUS || code === STAR || code === SLASH || (code >= 60 && code <= 62));
      index += 1;
    }
    if (!free) {
      for (
        let last = text.charCodeAt(index - 1);
        index - start > 1 && (last === PLUS || last === MINUS);
        last = text.charCodeAt(index - 1)
      ) {
        index -= 1;
      }
    }
    return this.#finish('operator', index);
  }

  #scanDollar(start: number): TokenKind {
    const text = this.text;
    let index = start + 1;
    if (isDigit(text.charCodeAt(index))) return this.#finishNumber('parameter', this.#digits(index, false));
    for (let code = text.charCodeAt(index); (characterClass(code) & (LETTER | DIGIT)) !== 0; code = text.charCodeAt(index)) index += 1;
    if (characterClass(text.charCodeAt(index)) !== DOLLAR) return this.#finish('invalid', start + 1);
    const tag = text.slice(start, index + 1);
    const close = text.indexOf(tag, index + 1);
    if (close === -1) throw kalamError('UNTERMINATED_STRING', {}, { position: errorPosition(text, start) });
    this.form = 'dollar';
    return this.#finish('string', close + tag.length);
  }
}

/** The hash that {@link Scanner.hash} has for this word; the word must be lower case. */
export function wordHash(word: string): number {
  let hash = 0;
  for (let index = 0; index < word.length; index++) hash = (hash * 31 + word.charCodeAt(index)) | 0;
  return hash;
}

/** Whether the token at `start` … `end` is the lower-case ASCII word `word`. */
export function isWordAt(text: string, start: number, word: string): boolean {
  for (let index = 0; index < word.length; index++) {
    const code = text.charCodeAt(start + index);
    if ((code >= 65 && code <= 90 ? code | 32 : code) !== word.charCodeAt(index)) return false;
  }
  return true;
}

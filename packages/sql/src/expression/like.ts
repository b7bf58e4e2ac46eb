import { kalamError, plainType } from '@kalamdb/protocol';
import type { Position } from '../statement/ast.ts';
import { coerce } from './common-type.ts';
import { constant, type Evaluator, operation, preparationOf, type Typed } from './typed.ts';

/** Tests one text against a pattern. */
type LikeMatcher = (text: string) => boolean;

/** What stands at one place of a pattern: a code point, `_` (any one) or `%` (any number of them). */
type Token = string | typeof ANY | typeof RUN;

const ANY = Symbol('_');
const RUN = Symbol('%');

/**
 * Compiles a LIKE pattern. No regular expression is made of it: the time for a text of length n and a pattern of length m
 * is at most proportional to n·m, whatever the pattern. `escaper` is one character or empty (no escaping).
 * Throws INVALID_ARGUMENT when the pattern ends with its escape character.
 */
function compileLike(pattern: string, escaper = '\\', caseInsensitive = false): LikeMatcher {
  const tokens = tokenize(caseInsensitive ? pattern.toLowerCase() : pattern, escaper);
  const matches = tokens.includes(ANY) ? wildcards(tokens) : segments(tokens);
  return caseInsensitive ? (text) => matches(text.toLowerCase()) : matches;
}

/**
 * The literal text that a pattern begins with: everything that matches begins with it, and nothing else matches when it is the
 * whole pattern. Throws as compiling the pattern does.
 */
export function likePrefix(pattern: string, escaper: string): { readonly prefix: string; readonly isWhole: boolean } {
  const tokens = tokenize(pattern, escapeCharacter(escaper));
  const wild = tokens.findIndex((token) => token === ANY || token === RUN);
  return { prefix: tokens.slice(0, wild < 0 ? tokens.length : wild).join(''), isWhole: wild < 0 };
}

function tokenize(pattern: string, escaper: string): Token[] {
  const tokens: Token[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (!escaped && escaper !== '' && character === escaper) {
      escaped = true;
      continue;
    }
    if (escaped || (character !== '%' && character !== '_')) tokens.push(character);
    else if (character === '_') tokens.push(ANY);
    else if (tokens.at(-1) !== RUN) tokens.push(RUN);
    escaped = false;
  }
  if (escaped) throw kalamError('INVALID_ARGUMENT', { reason: 'LIKE pattern must not end with its escape character' });
  return tokens;
}

/** Patterns of literal pieces between `%`: the first and the last are anchored, the others are searched from left to right. */
function segments(tokens: readonly Token[]): LikeMatcher {
  const pieces: string[] = [''];
  for (const token of tokens) {
    if (token === RUN) pieces.push('');
    else pieces[pieces.length - 1] += String(token);
  }
  const first = pieces[0] ?? '';
  if (pieces.length === 1) return (text) => text === first;
  const last = pieces.at(-1) ?? '';
  const middle = pieces.slice(1, -1);
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let from = first.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, from);
      if (found < 0) return false;
      from = found + piece.length;
    }
    return from <= end;
  };
}

/** Patterns with `_`: one pass that goes back only to the last `%`. */
function wildcards(tokens: readonly Token[]): LikeMatcher {
  return (text) => {
    let at = 0;
    let token = 0;
    let run = -1;
    let mark = 0;
    while (at < text.length) {
      const wanted = tokens[token];
      const width = widthAt(text, at);
      if (wanted === RUN) {
        run = token;
        mark = at;
        token += 1;
      } else if (wanted !== undefined && (wanted === ANY || text.startsWith(wanted, at))) {
        at += width;
        token += 1;
      } else if (run >= 0) {
        mark += widthAt(text, mark);
        at = mark;
        token = run + 1;
      } else {
        return false;
      }
    }
    if (tokens[token] === RUN) token += 1;
    return token === tokens.length;
  };
}

/** UTF-16 units of the code point at an index. */
function widthAt(text: string, at: number): number {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 && at + 1 < text.length ? 2 : 1;
}

/** The parts of a LIKE expression. */
export interface LikeParts {
  readonly operand: Typed;
  readonly pattern: Typed;
  readonly escaper: Typed | undefined;
  readonly caseInsensitive: boolean;
}

/** `operand LIKE pattern`: NULL if one of them is NULL. The pattern is compiled when it changes, so once per execution as a rule. */
export function like({ operand, pattern, escaper, caseInsensitive }: LikeParts, position: Position): Typed {
  const text = plainType('text');
  const operands = [operand, pattern, escaper ?? constant(text, '\\', position)].map((node) => coerce(node, text, 'implicit'));
  return operation({
    name: caseInsensitive ? 'ilike' : 'like',
    type: plainType('boolean'),
    operands,
    position,
    build: preparedMatching(operands, caseInsensitive) ?? ((...parts) => matching(parts, caseInsensitive)),
  });
}

/** For a pattern that is the caller's to keep compiled; `undefined` for others. */
function preparedMatching([, pattern, escaper]: readonly Typed[], caseInsensitive: boolean): ((value: Evaluator) => Evaluator) | undefined {
  const preparation = pattern === undefined ? undefined : preparationOf(pattern);
  if (pattern === undefined || preparation === undefined || escaper?.kind !== 'constant') return undefined;
  const { cell: escapeCell } = escaper;
  const compiled = preparation.object((context): { readonly matches: LikeMatcher | undefined } => {
    const text = pattern.evaluate({ cells: [], seq: 0n, deleted: false }, context);
    const isNull = text === null || escapeCell === null;
    return { matches: isNull ? undefined : compileLike(String(text), escapeCharacter(String(escapeCell)), caseInsensitive) };
  });
  return (value) => (row, context) => {
    const cell = value(row, context);
    const { matches } = compiled(context);
    return cell === null || matches === undefined ? null : matches(String(cell));
  };
}

function matching([value, pattern, escaper]: readonly (Evaluator | undefined)[], caseInsensitive: boolean): Evaluator {
  let compiledFrom: string | undefined;
  let compiledEscape: string | undefined;
  let matches: LikeMatcher = () => false;
  return (row, context) => {
    const cell = value?.(row, context) ?? null;
    const patternCell = pattern?.(row, context) ?? null;
    const escapeCell = escaper?.(row, context) ?? null;
    if (cell === null || patternCell === null || escapeCell === null) return null;
    if (patternCell !== compiledFrom || escapeCell !== compiledEscape) {
      matches = compileLike(String(patternCell), escapeCharacter(String(escapeCell)), caseInsensitive);
      compiledFrom = String(patternCell);
      compiledEscape = String(escapeCell);
    }
    return matches(String(cell));
  };
}

function escapeCharacter(text: string): string {
  if ([...text].length > 1) throw kalamError('INVALID_ARGUMENT', { reason: 'LIKE takes an escape of one character or none' });
  return text;
}

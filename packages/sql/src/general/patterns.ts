import { kalamError, plainType } from '@kalamdb/protocol';
import type { A_Expr, Node } from 'libpg-query';
import { nameText } from '../parser/postgres/converter.ts';
import { quoteText } from './duckdb-text.ts';
import { type Piece, piece } from './piece.ts';
import type { Place } from './scope.ts';

const boolean = plainType('boolean');
const text = plainType('text');

/** LIKE and ILIKE. A backslash escapes unless ESCAPE says otherwise, as in PostgreSQL; DuckDB has no escape of its own. */
export function writeLike(node: A_Expr, operand: Node, pattern: Node, place: Place): Piece {
  const negated = nameText(node.name?.[0]).startsWith('!');
  const [patternNode = pattern, escapeNode] = functionArguments(pattern, 'like_escape') ?? [];
  const like = place.writer.expression(patternNode, place);
  const escaper = escapeNode === undefined ? '\\' : escapeOf(place.writer.expression(escapeNode, place), place);
  return likeText(place.writer.expression(operand, place), like, { negated, folds: node.kind === 'AEXPR_ILIKE', escaper }, place);
}

interface Likeness {
  readonly negated: boolean;
  readonly folds: boolean;
  readonly escaper: string;
}

function likeText(operand: Piece, like: Piece, { negated, folds, escaper }: Likeness, place: Place): Piece {
  const { values } = place.unit;
  const value = values.as(operand, text);
  const written = values.constant(like);
  const plain = escaper === '' || (typeof written === 'string' && !written.includes(escaper));
  const matched = plain
    ? `(${value} ${folds ? 'ILIKE' : 'LIKE'} ${values.as(like, text)})`
    : `${folds ? 'ilike_escape' : 'like_escape'}(${value}, ${values.as(like, text)}, ${quoteText(escaper)})`;
  return piece(negated ? `(NOT ${matched})` : matched, boolean);
}

function functionArguments(node: Node, name: string): readonly Node[] | undefined {
  return 'FuncCall' in node && nameText(node.FuncCall.funcname?.[1]) === name ? (node.FuncCall.args ?? []) : undefined;
}

function escapeOf(of: Piece, place: Place): string {
  const cell = place.unit.values.constant(of);
  if (typeof cell !== 'string') return place.unit.missing('ESCAPE that is not a text as written', undefined);
  if ([...cell].length > 1) throw kalamError('INVALID_ARGUMENT', { reason: 'ESCAPE must be empty or one character' });
  return cell;
}

/** SIMILAR TO with a pattern as written, turned into a regular expression over the whole text. */
export function writeSimilar(negated: boolean, operand: Node, pattern: Node, place: Place): Piece {
  const { values } = place.unit;
  const [patternNode = pattern, escapeNode] = functionArguments(pattern, 'similar_to_escape') ?? [];
  const written = values.constant(place.writer.expression(patternNode, place));
  const escaper = escapeNode === undefined ? '\\' : escapeOf(place.writer.expression(escapeNode, place), place);
  if (typeof written !== 'string') return place.unit.missing('SIMILAR TO with a computed pattern', undefined);
  const value = values.as(place.writer.expression(operand, place), text);
  const matched = `regexp_full_match(${value}, ${quoteText(similarPattern(written, escaper))}, 's')`;
  return piece(negated ? `(NOT ${matched})` : matched, boolean);
}

function similarPattern(pattern: string, escaper: string): string {
  let result = '';
  let bracket = false;
  const characters = [...pattern];
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? '';
    if (character === escaper) {
      index += 1;
      result += (characters[index] ?? '').replace(/[^\p{L}\p{N}_]/u, '\\$&');
    } else if (bracket) {
      bracket = character !== ']';
      result += character === '\\' ? '\\\\' : character;
    } else if (character === '[') {
      bracket = true;
      result += '[';
    } else if (character === '%') result += '.*';
    else if (character === '_') result += '.';
    else result += /[.^$\\]/.test(character) ? `\\${character}` : character;
  }
  return result;
}

/** `~`, `~*`, `!~`, `!~*`, `~~` and their kin; `undefined`: another operator. */
export function writeRegular(operator: string, left: Piece, right: Piece, place: Place): Piece | undefined {
  const likes = /^(!?)~~(\*?)$/.exec(operator);
  if (likes !== null) return likeText(left, right, { negated: likes[1] === '!', folds: likes[2] === '*', escaper: '\\' }, place);
  const known = /^(!?)(~|~\*)$/.exec(operator);
  if (known === null) return undefined;
  const { values } = place.unit;
  const flags = known[2] === '~*' ? 'si' : 's';
  const matched = `regexp_matches(${values.as(left, text)}, ${values.as(right, text)}, '${flags}')`;
  return piece(known[1] === '!' ? `(NOT ${matched})` : matched, boolean);
}

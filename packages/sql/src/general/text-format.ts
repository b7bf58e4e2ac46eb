import { kalamError, plainType } from '@kalamdb/protocol';
import { joinedTexts, quoteText } from './duckdb-text.ts';
import { type Piece, piece, typeOf } from './piece.ts';
import type { Place } from './scope.ts';
import { shownText } from './shown-text.ts';

const text = plainType('text');

/** A name in double quotes where it needs them. */
export function identifierText(name: string): string {
  return `list_transform([${name}], lambda p: CASE WHEN regexp_full_match(p, '[a-z_][a-z0-9_$]*') THEN p ELSE '"' || replace(p, '"', '""') || '"' END)[1]`;
}

/** A text in single quotes. */
export function literalText(value: string): string {
  return joinedTexts([`''''`, `replace(${value}, '''', '''''')`, `''''`]);
}

/** The value as `%s` shows it. */
export function plainText(of: Piece, { unit }: Place): string {
  const type = typeOf(of);
  if (type === undefined) return shownText(of);
  const cell = unit.values.as(of, text, 'explicit');
  return type.kind === 'boolean' ? `left(${cell}, 1)` : cell;
}

const ITEM = /%(?:(\d+)\$)?(-?)(\d*)([sIL%])/y;

/** `format(text, …)` with a text as written: `%s`, `%I`, `%L`, `%%`, places (`%2$s`) and widths (`%-10s`). */
export function writeFormat([format, ...operands]: readonly Piece[], place: Place): Piece {
  const written = format === undefined ? undefined : place.unit.values.constant(format);
  if (typeof written !== 'string') return place.unit.missing('FORMAT with a computed text', undefined);
  const parts: string[] = [];
  let next = 0;
  for (let at = 0; at < written.length; ) {
    const end = written.indexOf('%', at);
    if (end !== at) parts.push(quoteText(written.slice(at, end < 0 ? undefined : end)));
    if (end < 0) break;
    ITEM.lastIndex = end;
    const [whole, position, minus, width, kind] = ITEM.exec(written) ?? [];
    if (whole === undefined || kind === undefined) throw kalamError('INVALID_ARGUMENT', { reason: 'unrecognized format() type specifier' });
    at = end + whole.length;
    if (kind === '%') {
      parts.push("'%'");
      continue;
    }
    next = position === undefined || position === '' ? next + 1 : Number(position);
    const operand = operands[next - 1];
    if (operand === undefined) throw kalamError('INVALID_ARGUMENT', { reason: 'too few arguments for format()' });
    parts.push(padded(itemText(kind, operand, place), Number(width), minus === '-'));
  }
  return piece(parts.length === 0 ? "''" : joinedTexts(parts), text);
}

function itemText(kind: string, operand: Piece, place: Place): string {
  const value = plainText(operand, place);
  if (kind === 's') return `coalesce(${value}, '')`;
  if (kind === 'L') return `coalesce(${literalText(value)}, 'NULL')`;
  return `coalesce(${identifierText(value)}, error('null values cannot be formatted as an SQL identifier'))`;
}

/** Longest width of a field. */
const WIDTH_MAX = 10_000;

function padded(value: string, width: number, left: boolean): string {
  if (width === 0) return value;
  if (width > WIDTH_MAX) throw kalamError('INVALID_ARGUMENT', { reason: `a width in format() is at most ${WIDTH_MAX}` });
  return `list_transform([${value}], lambda p: CASE WHEN length(p) >= ${width} THEN p ELSE ${left ? 'rpad' : 'lpad'}(p, ${width}, ' ') END)[1]`;
}

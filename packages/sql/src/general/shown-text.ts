import { type DataType, plainType } from '@kalamdb/protocol';
import { isNumeric } from '../expression/type-families.ts';
import { castText, joinedTexts, quoteText } from './duckdb-text.ts';
import { fieldAt, itemOf, type Piece, piece, typeOf } from './piece.ts';

const text = plainType('text');

/** The piece as clients see it: lists, rows and intervals, which the dialect has no type for, as the texts that PostgreSQL prints. */
export function shown(of: Piece): Piece {
  return of.typed === undefined ? piece(shownText(of), text) : of;
}

/** See {@link shown}. */
export function shownText(of: Piece, depth = 0): string {
  const type = typeOf(of);
  if (type !== undefined) return type.kind === 'boolean' ? `left(CAST(${of.text} AS VARCHAR), 1)` : castText(of.text, type, text);
  switch (of.foreign) {
    case 'interval':
      return intervalText(of.text);
    case 'list':
      return listText(of, depth);
    default:
      return of.fields === undefined ? `CAST(${of.text} AS VARCHAR)` : rowText(of, depth);
  }
}

/** DuckDB writes `1 month -1 day`, PostgreSQL `1 mon -1 days`. */
function intervalText(interval: string): string {
  const plural = `regexp_replace(CAST(${interval} AS VARCHAR), '(^| )-1 (day|month|year)( |$)', '\\1-1 \\2s\\3', 'g')`;
  return `replace(${plural}, 'month', 'mon')`;
}

/** `{1,2}`; elements that could be read otherwise are quoted. */
function listText(list: Piece, depth: number): string {
  const variable = `e${depth}`;
  const item = itemOf(list, variable);
  if (item === undefined) return `replace(replace(replace(CAST(${list.text} AS VARCHAR), '[', '{'), ']', '}'), ', ', ',')`;
  const written = shownText(item, depth + 1);
  const quoted = item.foreign === 'list' ? written : quotedWhere(written, '[{}",\\\\\\s]|^(?i:null)$|^$', plain(item), '\\"');
  return joinedTexts([`'{'`, `array_to_string(list_transform(${list.text}, lambda ${variable}: coalesce(${quoted}, 'NULL')), ',')`, `'}'`]);
}

/** `(1,Ann,)`: NULL is nothing. */
function rowText(row: Piece, depth: number): string {
  const parts = (row.fields ?? []).map((_, index) => {
    const field = fieldAt(row, index);
    if (field === undefined) return "''";
    return `coalesce(${quotedWhere(shownText(field, depth), '[(),"\\\\\\s]|^$', plain(field), '""')}, '')`;
  });
  return `(CASE WHEN ${row.text} IS NULL THEN NULL ELSE '(' || ${parts.join(` || ',' || `)} || ')' END)`;
}

/** Values that never need quotes. */
function plain(of: Piece): boolean {
  const type: DataType | undefined = typeOf(of);
  return type !== undefined && (isNumeric(type) || type.kind === 'boolean' || type.kind === 'date' || type.kind === 'uuid');
}

function quotedWhere(written: string, pattern: string, never: boolean, quote: string): string {
  if (never) return written;
  const escaped = `replace(replace(p, '\\', '\\\\'), '"', ${quoteText(quote)})`;
  return `list_transform([${written}], lambda p: CASE WHEN regexp_matches(p, ${quoteText(pattern)}) THEN '"' || ${escaped} || '"' ELSE p END)[1]`;
}

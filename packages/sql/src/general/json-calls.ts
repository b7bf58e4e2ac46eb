import { plainType } from '@kalamdb/protocol';
import { isInteger } from '../expression/type-families.ts';
import { quoteText } from './duckdb-text.ts';
import { type Piece, piece, typeOf, type Values } from './piece.ts';

const text = plainType('text');

/** The JSON functions by name; malformed documents give NULL (`TRY`), as they do in the compiled executor. */
const WRITERS: Readonly<Record<string, (document: string, path: string) => Piece>> = {
  json_as_text: (document, path) => piece(`TRY(json_extract_string(${document}, ${path}))`, text),
  json_get_json: (document, path) => piece(`CAST(TRY(json_extract(${document}, ${path})) AS VARCHAR)`, text),
  json_contains: (document, path) => piece(`coalesce(TRY(json_exists(${document}, ${path})), false)`, plainType('boolean')),
  json_get_str: (document, path) => piece(ofKind(document, path, ["'VARCHAR'"], `json_extract_string(${document}, ${path})`), text),
  json_get_int: (document, path) =>
    piece(
      ofKind(document, path, ["'BIGINT'", "'UBIGINT'"], `TRY_CAST(json_extract_string(${document}, ${path}) AS BIGINT)`),
      plainType('bigint'),
    ),
  json_get_float: (document, path) =>
    piece(
      ofKind(document, path, ["'BIGINT'", "'UBIGINT'", "'DOUBLE'"], `TRY_CAST(json_extract_string(${document}, ${path}) AS DOUBLE)`),
      plainType('double'),
    ),
  json_get_bool: (document, path) =>
    piece(ofKind(document, path, ["'BOOLEAN'"], `CAST(json_extract_string(${document}, ${path}) AS BOOLEAN)`), plainType('boolean')),
  json_length: (document, path) =>
    piece(
      `(CASE TRY(json_type(${document}, ${path})) WHEN 'ARRAY' THEN CAST(json_array_length(${document}, ${path}) AS VARCHAR) ` +
        `WHEN 'OBJECT' THEN CAST(len(json_keys(${document}, ${path})) AS VARCHAR) END)`,
      text,
    ),
  json_object_keys: (document, path) =>
    piece(ofKind(document, path, ["'OBJECT'"], `CAST(to_json(json_keys(${document}, ${path})) AS VARCHAR)`), text),
};

function ofKind(document: string, path: string, kinds: readonly string[], value: string): string {
  return `(CASE WHEN TRY(json_type(${document}, ${path})) IN (${kinds.join(', ')}) THEN ${value} END)`;
}

/** A JSON function over a document and the steps into it, keys and indexes; the call is known to be right. */
export function jsonCall(name: string, [document, ...steps]: readonly Piece[], values: Values): Piece {
  const write = WRITERS[name];
  if (write === undefined || document === undefined) throw new Error(`no JSON function ${name}`);
  return write(values.as(document, text), jsonPath(steps, values));
}

/** DuckDB's path for steps: `$."key"[0]`. */
function jsonPath(steps: readonly Piece[], values: Values): string {
  const parts = steps.map((step) => {
    const cell = values.constant(step);
    if (typeof cell === 'string') return quoteText(`."${cell.replace(/["\\]/g, '\\$&')}"`);
    if (typeof cell === 'bigint') return cell < 0n ? `'[#${cell}]'` : `'[${cell}]'`;
    const type = typeOf(step);
    if (type !== undefined && isInteger(type))
      return `(CASE WHEN ${step.text} < 0 THEN '[#' ELSE '[' END || CAST(${step.text} AS VARCHAR) || ']')`;
    return `('."' || replace(replace(${step.text}, '\\', '\\\\'), '"', '\\"') || '"')`;
  });
  return parts.length === 0 ? "'$'" : `('$' || ${parts.join(' || ')})`;
}

import { plainType } from '@kalamdb/protocol';
import { isInteger } from '../expression/type-families.ts';
import { joinedTexts, quoteText } from './duckdb-text.ts';
import { documentPiece, type Piece, piece, typeOf, type Values } from './piece.ts';

const text = plainType('text');

/** The JSON functions by name; what is no document is NULL (`TRY_CAST`), as in the compiled executor. */
const WRITERS: Readonly<Record<string, (document: string, path: string) => Piece>> = {
  json_as_text: (document, path) => piece(`json_extract_string(${document}, ${path})`, text),
  json_get_json: (document, path) => documentPiece(`CAST(json_extract(${document}, ${path}) AS VARCHAR)`, text),
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
      `(CASE json_type(${document}, ${path}) WHEN 'ARRAY' THEN CAST(json_array_length(${document}, ${path}) AS VARCHAR) ` +
        `WHEN 'OBJECT' THEN CAST(len(json_keys(${document}, ${path})) AS VARCHAR) END)`,
      text,
    ),
  json_object_keys: (document, path) =>
    piece(ofKind(document, path, ["'OBJECT'"], `CAST(to_json(json_keys(${document}, ${path})) AS VARCHAR)`), text),
};

function ofKind(document: string, path: string, kinds: readonly string[], value: string): string {
  return `(CASE WHEN json_type(${document}, ${path}) IN (${kinds.join(', ')}) THEN ${value} END)`;
}

/** A JSON function over a document and the steps into it, keys and indexes; the call is known to be right. */
export function jsonCall(name: string, [document, ...steps]: readonly Piece[], values: Values): Piece {
  if (name === 'json_contains' && document !== undefined) return contains(document, steps, values);
  const write = WRITERS[name];
  if (write === undefined || document === undefined) throw new Error(`no JSON function ${name}`);
  return write(`TRY_CAST(${values.as(document, text)} AS JSON)`, jsonPath(steps, values));
}

/** Whether an object has a key, or an array or a text is or has the text; of what is no document, nothing has it. The key that is NULL may be in any. */
function contains(document: Piece, steps: readonly Piece[], values: Values): Piece {
  const boolean = plainType('boolean');
  const last = steps.at(-1);
  const of = values.as(document, text);
  const type = last === undefined ? undefined : typeOf(last);
  if (last === undefined) return piece(`coalesce(json_exists(TRY_CAST(${of} AS JSON), '$'), false)`, boolean);
  if (values.constant(last) === null) return piece(`(CASE WHEN ${of} IS NULL THEN false END)`, boolean);
  const path = jsonPath(steps, values);
  const whole = `TRY_CAST(${of} AS JSON)`;
  const exists = `json_exists(${whole}, ${path})`;
  const key = values.as(last, text, 'explicit');
  const isIndex = type !== undefined && isInteger(type);
  const parent = steps.length === 1 ? whole : `json_extract(${whole}, ${jsonPath(steps.slice(0, -1), values)})`;
  const equal = `json_type(e) = 'VARCHAR' AND json_extract_string(e, '$') = ${key}`;
  const inArray = `len(list_filter(CAST(json_extract(${parent}, '$[*]') AS JSON[]), lambda e: ${equal})) > 0`;
  const found = `CASE json_type(${parent}) WHEN 'ARRAY' THEN ${inArray} WHEN 'VARCHAR' THEN json_extract_string(${parent}, '$') = ${key} ELSE ${exists} END`;
  const known = `coalesce(${isIndex ? exists : found}, false)`;
  return piece(
    values.constant(last) === undefined ? `(CASE WHEN ${of} IS NOT NULL AND ${key} IS NULL THEN NULL ELSE ${known} END)` : known,
    boolean,
  );
}

/** A step of a path: as DuckDB writes it in a path, as it is in a JSON pointer, and whether it is the empty key, which only a pointer can name. */
interface Step {
  readonly path: string;
  readonly pointer: string;
  readonly isEmpty: string | boolean;
}

/** DuckDB's path for steps: `$."key"[0]`. */
function jsonPath(operands: readonly Piece[], values: Values): string {
  const steps = operands.map((operand) => stepOf(operand, values));
  const path = concatenated(["'$'", ...steps.map((step) => step.path)]);
  const tests = steps.flatMap(({ isEmpty }) => (typeof isEmpty === 'string' ? [isEmpty] : []));
  const isPointer = steps.some(({ isEmpty }) => isEmpty === true);
  if (!isPointer && tests.length === 0) return path;
  const pointer = concatenated(steps.map((step) => step.pointer));
  return isPointer ? pointer : `(CASE WHEN ${tests.join(' OR ')} THEN ${pointer} ELSE ${path} END)`;
}

function stepOf(step: Piece, values: Values): Step {
  const cell = values.constant(step);
  if (typeof cell === 'string') {
    const pointer = quoteText(`/${cell.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    return { path: quoteText(`."${cell.replace(/["\\]/g, '\\$&')}"`), pointer, isEmpty: cell === '' };
  }
  if (typeof cell === 'bigint') return { path: cell < 0n ? `'[#${cell}]'` : `'[${cell}]'`, pointer: `'/${cell}'`, isEmpty: false };
  const type = typeOf(step);
  const { text: written } = step;
  if (type !== undefined && isInteger(type)) {
    const index = `(CASE WHEN ${written} < 0 THEN '[#' ELSE '[' END || CAST(${written} AS VARCHAR) || ']')`;
    return { path: index, pointer: `('/' || CAST(${written} AS VARCHAR))`, isEmpty: false };
  }
  return {
    path: `('."' || replace(replace(${written}, '\\', '\\\\'), '"', '\\"') || '"')`,
    pointer: `('/' || replace(replace(${written}, '~', '~0'), '/', '~1'))`,
    isEmpty: `${written} = ''`,
  };
}

/** Texts of SQL one behind the other; constants become one. */
function concatenated(parts: readonly string[]): string {
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    const areConstants = last !== undefined && /^'(?:[^']|'')*'$/.test(last) && /^'(?:[^']|'')*'$/.test(part);
    if (areConstants) joined[joined.length - 1] = `${last.slice(0, -1)}${part.slice(1)}`;
    else joined.push(part);
  }
  return joined.length === 1 ? (joined[0] ?? "''") : joinedTexts(joined);
}

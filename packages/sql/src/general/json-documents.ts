import { type Cell, kalamError, plainType } from '@kalamdb/protocol';
import { isTextual } from '../expression/type-families.ts';
import { arrayElements, documentList } from './array-calls.ts';
import { quoteText } from './duckdb-text.ts';
import { documentPiece, foreignPiece, type Piece, piece, typeOf } from './piece.ts';
import type { Place } from './scope.ts';

const json = plainType('json');
const text = plainType('text');
const boolean = plainType('boolean');
const bigint = plainType('bigint');

/** Elements of a constant document that `@>` looks for; each is a condition of its own. */
const CONTAINED_NODES_MAX = 200;

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A document as DuckDB reads it; NULL for a text that is none. */
function documentText(of: Piece, { unit }: Place): string {
  const type = typeOf(of);
  if (type === undefined || !(isTextual(type) || of.typed?.kind === 'value'))
    throw kalamError('TYPE_MISMATCH', { reason: 'not a document of JSON' });
  return `TRY_CAST(${unit.values.as(of, text)} AS JSON)`;
}

/** The constant document that a piece is. */
export function writtenDocument(of: Piece, { unit }: Place): string | undefined {
  const cell: Cell | undefined = of.written ?? unit.values.constant(of);
  return typeof cell === 'string' ? cell : undefined;
}

/** Operators over documents beyond `->`, `->>` and `?`; `undefined`: another operator. */
export function writeJsonOperator(operator: string, left: Piece, right: Piece, place: Place): Piece | undefined {
  switch (operator) {
    case '#>':
    case '#>>':
      return step(operator === '#>>', left, pathOf(right, place), place);
    case '?|':
    case '?&': {
      const names = namesOf(right, place);
      return piece(`list_has_${operator === '?|' ? 'any' : 'all'}(${keysOf(documentText(left, place))}, ${names})`, boolean);
    }
    case '@>':
      return contains(left, right, place);
    case '<@':
      return contains(right, left, place);
    default:
      return undefined;
  }
}

function step(asText: boolean, document: Piece, path: string, place: Place): Piece {
  const of = documentText(document, place);
  if (asText) return piece(`json_extract_string(${of}, ${path})`, text);
  return documentPiece(`CAST(json_extract(${of}, ${path}) AS VARCHAR)`, json);
}

/** A path in the form of a JSON pointer, whose steps are keys of objects and indexes of arrays alike. */
function pathOf(of: Piece, place: Place): string {
  const written = place.unit.values.constant(of);
  if (typeof written === 'string')
    return quoteText(
      arrayElements(written)
        .map((name) => `/${pointerStep(name ?? '')}`)
        .join(''),
    );
  if (of.foreign !== 'list') throw kalamError('TYPE_MISMATCH', { reason: 'a path is a list of texts' });
  return `array_to_string(list_transform(${of.text}, lambda e: '/' || replace(replace(CAST(e AS VARCHAR), '~', '~0'), '/', '~1')), '')`;
}

function pointerStep(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function namesOf(of: Piece, place: Place): string {
  const written = place.unit.values.constant(of);
  if (typeof written === 'string')
    return `[${arrayElements(written)
      .map((name) => quoteText(name ?? ''))
      .join(', ')}]`;
  if (of.foreign !== 'list') throw kalamError('TYPE_MISMATCH', { reason: 'the keys are a list of texts' });
  return of.text;
}

/** The keys of an object, or the texts in an array. */
function keysOf(document: string): string {
  const texts = `list_transform(list_filter(CAST(json_extract(${document}, '$[*]') AS JSON[]), lambda e: json_type(e) = 'VARCHAR'), lambda e: json_extract_string(e, '$'))`;
  return `(CASE json_type(${document}) WHEN 'OBJECT' THEN json_keys(${document}) WHEN 'ARRAY' THEN ${texts} END)`;
}

/** `document @> part` for a part as written: structure by structure. */
function contains(document: Piece, part: Piece, place: Place): Piece {
  const written = writtenDocument(part, place);
  if (written === undefined) return place.unit.missing('@> with a computed document', undefined);
  let parsed: Json;
  try {
    parsed = JSON.parse(written) as Json;
  } catch {
    throw kalamError('INVALID_TEXT', { text: written, type: 'JSON' });
  }
  const whole = documentText(document, place);
  const writer = new Containment();
  const scalar = typeof parsed !== 'object' || parsed === null;
  const test = writer.test('d', parsed);
  const inArray = scalar ? ` OR (json_type(d) = 'ARRAY' AND ${writer.element('d', parsed)})` : '';
  return piece(
    `list_transform([${whole}], lambda d: CASE WHEN d IS NULL THEN NULL ELSE coalesce(${test}${inArray}, false) END)[1]`,
    boolean,
  );
}

class Containment {
  #nodes = 0;
  #names = 0;

  /** Whether a document, a short text of SQL, contains a part. */
  test(document: string, part: Json): string {
    this.#nodes += 1;
    if (this.#nodes > CONTAINED_NODES_MAX)
      throw kalamError('INVALID_ARGUMENT', { reason: `a document behind @> has at most ${CONTAINED_NODES_MAX} elements` });
    if (Array.isArray(part)) {
      const items = part.map((item: Json) => this.element(document, item));
      return `(${[`json_type(${document}) = 'ARRAY'`, ...items].join(' AND ')})`;
    }
    if (typeof part === 'object' && part !== null) {
      const fields = Object.entries(part).map(([key, value]) => {
        const name = `d${++this.#names}`;
        const path = quoteText(`/${pointerStep(key)}`);
        return `list_transform([json_extract(${document}, ${path})], lambda ${name}: ${this.test(name, value)})[1]`;
      });
      return `(${[`json_type(${document}) = 'OBJECT'`, ...fields].join(' AND ')})`;
    }
    return scalarTest(document, part);
  }

  /** Whether an array has an element that contains a part. */
  element(document: string, part: Json): string {
    const name = `d${++this.#names}`;
    return `len(list_filter(CAST(json_extract(${document}, '$[*]') AS JSON[]), lambda ${name}: coalesce(${this.test(name, part)}, false))) > 0`;
  }
}

function scalarTest(document: string, part: string | number | boolean | null): string {
  if (part === null) return `(json_type(${document}) = 'NULL')`;
  if (typeof part === 'string')
    return `(json_type(${document}) = 'VARCHAR' AND json_extract_string(${document}, '$') = ${quoteText(part)})`;
  if (typeof part === 'boolean') return `(json_type(${document}) = 'BOOLEAN' AND json_extract_string(${document}, '$') = '${part}')`;
  const number = `TRY_CAST(json_extract_string(${document}, '$') AS DOUBLE) = CAST('${part}' AS DOUBLE)`;
  return `(json_type(${document}) IN ('BIGINT', 'UBIGINT', 'DOUBLE') AND ${number})`;
}

const TYPE_NAMES =
  "WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE 'number'";

/** Functions over documents; `undefined`: another function. */
export function writeDocumentCall(called: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const name = called.replace(/^jsonb_/, 'json_');
  const [first, ...rest] = operands;
  if (!name.startsWith('json_') || first === undefined) return undefined;
  if (name === 'json_extract_path' || name === 'json_extract_path_text') {
    const steps = rest.map((of) => `'/' || replace(replace(${place.unit.values.as(of, text)}, '~', '~0'), '/', '~1')`);
    return step(name.endsWith('_text'), first, steps.length === 0 ? "''" : `(${steps.join(' || ')})`, place);
  }
  if (rest.length > 0) return undefined;
  switch (name) {
    case 'json_typeof': {
      const of = documentText(first, place);
      return piece(`(CASE WHEN json_type(${of}) IS NULL THEN NULL ELSE CASE json_type(${of}) ${TYPE_NAMES} END END)`, text);
    }
    case 'json_array_length': {
      const of = documentText(first, place);
      const refused = `CASE WHEN ${of} IS NULL THEN NULL ELSE error('cannot get array length of a value that is no array') END`;
      return piece(`CAST(CASE WHEN json_type(${of}) = 'ARRAY' THEN json_array_length(${of}) ELSE ${refused} END AS BIGINT)`, bigint);
    }
    case 'json_pretty':
      return piece(`CAST(json_pretty(${documentText(first, place)}) AS VARCHAR)`, text);
    default:
      return undefined;
  }
}

/** The columns of a function over a document that makes rows: names, and lists that are as long as each other. */
export interface DocumentRows {
  readonly columns: readonly { readonly name: string; readonly list: Piece }[];
}

/** See {@link DocumentRows}; `undefined`: another function. */
export function documentRows(called: string, operands: readonly Piece[], place: Place): DocumentRows | undefined {
  const name = called.replace(/^jsonb_/, 'json_');
  const [first, second] = operands;
  if (first === undefined || second !== undefined || !name.startsWith('json_')) return undefined;
  const texts = (list: string): Piece => foreignPiece(list, 'list', text);
  switch (name) {
    case 'json_array_elements':
    case 'json_array_elements_text': {
      const of = documentText(first, place);
      const isArray = `json_type(${of}) = 'ARRAY'`;
      const list = name.endsWith('_text')
        ? texts(`(CASE WHEN ${isArray} THEN json_extract_string(${of}, '$[*]') END)`)
        : documentList(`(CASE WHEN ${isArray} THEN CAST(json_extract(${of}, '$[*]') AS VARCHAR[]) END)`);
      return { columns: [{ name: 'value', list }] };
    }
    case 'json_each':
    case 'json_each_text': {
      const of = documentText(first, place);
      const keys = texts(objectKeys(of));
      const isObject = `json_type(${of}) = 'OBJECT'`;
      const list = name.endsWith('_text')
        ? texts(`(CASE WHEN ${isObject} THEN json_extract_string(${of}, '$.*') END)`)
        : documentList(`(CASE WHEN ${isObject} THEN CAST(json_extract(${of}, '$.*') AS VARCHAR[]) END)`);
      return {
        columns: [
          { name: 'key', list: keys },
          { name: 'value', list },
        ],
      };
    }
    case 'json_object_keys':
      // The dialect's own json_object_keys gives one document with all keys.
      return called === 'json_object_keys'
        ? undefined
        : { columns: [{ name: called, list: texts(objectKeys(documentText(first, place))) }] };
    default:
      return undefined;
  }
}

function objectKeys(document: string): string {
  return `(CASE WHEN json_type(${document}) = 'OBJECT' THEN json_keys(${document}) END)`;
}

import { type DataType, duckdbType, kalamError, plainType } from '@kalamdb/protocol';
import { commonType } from '../expression/common-type.ts';
import { castText } from './duckdb-text.ts';
import { documentPiece, foreignPiece, itemOf, listPiece, type Piece, piece, typeOf } from './piece.ts';
import type { Place } from './scope.ts';

const bigint = plainType('bigint');
const boolean = plainType('boolean');
const text = plainType('text');

/** `'{a,"b c",NULL}'` as its elements. Throws INVALID_TEXT. */
export function arrayElements(written: string): readonly (string | null)[] {
  const inner = /^\s*\{([\s\S]*)\}\s*$/.exec(written)?.[1];
  const invalid = (): Error => kalamError('INVALID_TEXT', { text: written, type: 'array' });
  if (inner === undefined) throw invalid();
  if (inner.trim() === '') return [];
  const elements: (string | null)[] = [];
  const element = /\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^",{}\\]*))\s*(,|$)/y;
  for (let ended = false; !ended; ) {
    const found = element.exec(inner);
    if (found === null) throw invalid();
    const [, quoted, bare = '', end] = found;
    if (quoted === undefined && bare.trim() === '') throw invalid();
    if (quoted === undefined) elements.push(/^null$/i.test(bare.trim()) ? null : bare.trim());
    else elements.push(quoted.replace(/\\([\s\S])/g, '$1'));
    ended = end === '';
  }
  return elements;
}

/** A text as written as a list of a type. */
export function listOfText(written: string, type: DataType, place: Place): Piece {
  const { values } = place.unit;
  const texts = arrayElements(written).map((element) =>
    element === null ? 'NULL' : values.as(values.literal('string', element, 0), type, 'explicit'),
  );
  return foreignPiece(`CAST([${texts.join(', ')}] AS ${duckdbType(type)}[])`, 'list', type);
}

/** `x::type[]`. */
export function castList(of: Piece, type: DataType, place: Place): Piece {
  const written = place.unit.values.constant(of);
  if (typeof written === 'string') return listOfText(written, type, place);
  if (written === null) return foreignPiece(`CAST(NULL AS ${duckdbType(type)}[])`, 'list', type);
  if (of.foreign !== 'list') throw kalamError('TYPE_MISMATCH', { reason: 'only lists and texts become lists' });
  const from = of.element;
  if (from === undefined) return foreignPiece(`CAST(${of.text} AS ${duckdbType(type)}[])`, 'list', type);
  return foreignPiece(`CAST(${elementwise(of.text, from, type)} AS ${duckdbType(type)}[])`, 'list', type);
}

function elementwise(list: string, from: DataType, to: DataType): string {
  const made = castText('e', from, to);
  return made === 'e' ? list : `list_transform(${list}, lambda e: ${made})`;
}

/** `list[n]` and `list[from:to]`, counted from 1; what is outside is NULL, or left out of a part. */
export function writeSubscript(
  list: Piece,
  bounds: { readonly from?: Piece; readonly to?: Piece; readonly slice: boolean },
  place: Place,
): Piece {
  const at = (of: Piece): string => place.unit.values.as(of, bigint);
  if (bounds.slice) {
    const [from, to] = [bounds.from === undefined ? '1' : at(bounds.from), bounds.to === undefined ? `len(${list.text})` : at(bounds.to)];
    return { ...list, text: `list_slice(${list.text}, greatest(${from}, 1), greatest(${to}, 0))`, column: undefined };
  }
  const index = bounds.to === undefined ? '1' : at(bounds.to);
  const found = itemOf(list, `list_extract(${list.text}, CASE WHEN ${index} > 0 THEN ${index} END)`);
  if (found === undefined) throw kalamError('TYPE_MISMATCH', { reason: 'cannot subscript this value' });
  return found;
}

/** Two lists, or a list and an element, in the type that they have in common. */
function alike(left: Piece, right: Piece, place: Place): readonly [Piece, Piece] {
  const { values } = place.unit;
  const list = left.foreign === 'list' ? left : right;
  const typeA = left.foreign === 'list' ? left.element : typeOf(left);
  const typeB = right.foreign === 'list' ? right.element : typeOf(right);
  const bare = (of: Piece): boolean => of.typed?.kind === 'value' && (of.typed.literal === 'string' || of.typed.literal === 'null');
  const type = bare(left) || typeA === undefined ? typeB : bare(right) || typeB === undefined ? typeA : commonType(typeA, typeB);
  if (type === undefined) throw kalamError('TYPE_MISMATCH', { reason: 'the elements of the lists have no type in common' });
  const made = (of: Piece): Piece => {
    const written = values.constant(of);
    if (of.foreign === 'list') return of.element === undefined ? of : castList(of, type, place);
    if (typeof written === 'string' && of.typed?.kind === 'value' && written.trim().startsWith('{'))
      return listOfText(written, type, place);
    return piece(values.as(of, type), type);
  };
  if (list.element === undefined) return [left, right];
  return [made(left), made(right)];
}

/** An operator with a list at a side; `undefined`: not one of lists. */
export function writeListOperator(operator: string, left: Piece, right: Piece, place: Place): Piece | undefined {
  if (left.foreign !== 'list' && right.foreign !== 'list') return undefined;
  switch (operator) {
    case '||': {
      if (place.unit.values.constant(left) === null) return right;
      if (place.unit.values.constant(right) === null) return left;
      const [a, b] = alike(left, right, place);
      const item = (a.foreign === 'list' ? a : b).item ?? piece('', text);
      if (a.foreign === 'list' && b.foreign === 'list') return listPiece(`list_concat(${a.text}, ${b.text})`, item);
      return a.foreign === 'list'
        ? listPiece(`list_append(${a.text}, ${b.text})`, item)
        : listPiece(`list_prepend(${a.text}, ${b.text})`, item);
    }
    case '@>':
    case '<@':
    case '&&': {
      const [a, b] = alike(left, right, place);
      const call =
        operator === '&&'
          ? `list_has_any(${a.text}, ${b.text})`
          : operator === '@>'
            ? `list_has_all(${a.text}, ${b.text})`
            : `list_has_all(${b.text}, ${a.text})`;
      return piece(call, boolean);
    }
    default:
      return undefined;
  }
}

type ListCall = (list: Piece, operands: readonly Piece[], place: Place) => Piece | undefined;

const asBigint = (written: string): Piece => piece(`CAST(${written} AS BIGINT)`, bigint);

/** An element argument in the type of the list's elements. */
function element(list: Piece, of: Piece | undefined, { unit }: Place): string | undefined {
  if (of === undefined) return undefined;
  return list.element === undefined ? of.text : unit.values.as(of, list.element);
}

function length(list: Piece, [dimension]: readonly Piece[], { unit }: Place): Piece | undefined {
  if (dimension !== undefined && unit.values.constant(dimension) !== 1n) return undefined;
  return asBigint(`nullif(len(${list.text}), 0)`);
}

/** Functions whose first argument is a list. */
const LIST_CALLS: Readonly<Record<string, ListCall>> = {
  cardinality: (list) => asBigint(`len(${list.text})`),
  array_length: length,
  array_upper: length,
  array_lower: (list) => asBigint(`CASE WHEN len(${list.text}) > 0 THEN 1 END`),
  array_ndims: (list) => (list.item?.foreign === 'list' ? undefined : asBigint(`CASE WHEN len(${list.text}) > 0 THEN 1 END`)),
  array_append: (list, [of], place) => (of === undefined ? undefined : writeListOperator('||', list, of, place)),
  array_cat: (list, [of], place) => (of?.foreign === 'list' ? writeListOperator('||', list, of, place) : undefined),
  array_remove: (list, [of], place) => {
    const found = element(list, of, place);
    return found === undefined ? undefined : { ...list, text: `list_filter(${list.text}, lambda e: e IS DISTINCT FROM ${found})` };
  },
  array_replace: (list, [of, by], place) => {
    const [from, to] = [element(list, of, place), element(list, by, place)];
    if (from === undefined || to === undefined) return undefined;
    return { ...list, text: `list_transform(${list.text}, lambda e: CASE WHEN e IS NOT DISTINCT FROM ${from} THEN ${to} ELSE e END)` };
  },
  array_position: (list, [of], place) => {
    const found = element(list, of, place);
    return found === undefined ? undefined : asBigint(`nullif(list_position(${list.text}, ${found}), 0)`);
  },
  array_positions: (list, [of], place) => {
    const found = element(list, of, place);
    if (found === undefined) return undefined;
    const all = `generate_series(CAST(1 AS BIGINT), len(${list.text}))`;
    return foreignPiece(`list_filter(${all}, lambda i: list_extract(${list.text}, i) IS NOT DISTINCT FROM ${found})`, 'list', bigint);
  },
  trim_array: (list, [count], { unit }) =>
    count === undefined
      ? undefined
      : { ...list, text: `list_slice(${list.text}, 1, len(${list.text}) - ${unit.values.as(count, bigint)})` },
  array_to_string: (list, [separator, forNull], { unit }) => {
    if (separator === undefined) return undefined;
    const by = unit.values.as(separator, text);
    const texts = list.element === undefined ? list.text : elementwise(list.text, list.element, text);
    if (forNull === undefined) return piece(`array_to_string(list_filter(${texts}, lambda e: e IS NOT NULL), ${by})`, text);
    return piece(`array_to_string(list_transform(${texts}, lambda e: coalesce(e, ${unit.values.as(forNull, text)})), ${by})`, text);
  },
  generate_subscripts: (list, [dimension], { unit }) =>
    dimension === undefined || unit.values.constant(dimension) !== 1n
      ? undefined
      : piece(`unnest(generate_series(CAST(1 AS BIGINT), len(${list.text})))`, bigint),
  unnest: (list, rest) => (rest.length > 0 ? undefined : itemOf(list, `unnest(${list.text})`)),
  array_to_json: () => undefined,
};

/** A function over lists; `undefined`: another one, or other arguments. */
export function writeListCall(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const [first, second] = operands;
  if (name === 'array_prepend' && first !== undefined && second?.foreign === 'list') return writeListOperator('||', first, second, place);
  if (name === 'array_fill' && first !== undefined && second?.foreign === 'list' && operands.length === 2) {
    const type = typeOf(first);
    if (type === undefined) return undefined;
    const count = `list_extract(${second.text}, 1)`;
    return foreignPiece(
      `list_transform(generate_series(CAST(1 AS BIGINT), ${count}), lambda i: ${place.unit.values.as(first, type)})`,
      'list',
      type,
    );
  }
  if (name === 'string_to_array' || name === 'string_to_table') {
    const list = textAsList(operands, place);
    return list === undefined || name === 'string_to_array' ? list : piece(`unnest(${list.text})`, text);
  }
  if (first?.foreign !== 'list') return undefined;
  return Object.hasOwn(LIST_CALLS, name) ? LIST_CALLS[name]?.(first, operands.slice(1), place) : undefined;
}

/** NULL parts a text into characters; an empty separator leaves it whole; an empty text has no parts. */
function textAsList([value, separator, forNull]: readonly Piece[], { unit }: Place): Piece | undefined {
  if (value === undefined || separator === undefined) return undefined;
  const [of, by] = [unit.values.as(value, text), unit.values.as(separator, text)];
  const whole = unit.values.constant(separator);
  const split =
    whole === null
      ? `string_split(${of}, '')`
      : whole === ''
        ? `[${of}]`
        : `CASE WHEN ${by} = '' THEN [${of}] ELSE string_split(${of}, ${by}) END`;
  const parts = `(CASE WHEN ${of} = '' THEN CAST([] AS VARCHAR[]) ELSE ${split} END)`;
  if (forNull === undefined) return foreignPiece(parts, 'list', text);
  return foreignPiece(`list_transform(${parts}, lambda e: nullif(e, ${unit.values.as(forNull, text)}))`, 'list', text);
}

/** A list of documents. */
export function documentList(written: string): Piece {
  return listPiece(written, documentPiece('', plainType('json')));
}

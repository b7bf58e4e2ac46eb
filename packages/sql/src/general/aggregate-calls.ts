import { duckdbType, kalamError, plainType } from '@kalamdb/protocol';
import type { FuncCall, Node } from 'libpg-query';
import { bindAggregate, isAggregate } from '../expression/aggregates.ts';
import { condition } from '../expression/logic.ts';
import { isInteger } from '../expression/type-families.ts';
import { castList } from './array-calls.ts';
import { castText } from './duckdb-text.ts';
import { jsonDocument, jsonValue } from './json-build.ts';
import { bare, foreignPiece, listPiece, type Piece, piece, standIn, typeOf } from './piece.ts';
import type { Place } from './scope.ts';
import { writeSorted } from './sorting.ts';

const double = plainType('double');

/** Aggregates over doubles that only this executor has. */
const NUMERIC: ReadonlySet<string> = new Set([
  'corr',
  'covar_pop',
  'covar_samp',
  ...['slope', 'intercept', 'r2', 'count', 'avgx', 'avgy', 'sxx', 'syy', 'sxy'].map((name) => `regr_${name}`),
]);

/** Aggregates that make documents. */
const DOCUMENTS: ReadonlySet<string> = new Set(['json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg']);

/** Aggregates over any one value that give one of its type. */
const ALIKE: ReadonlySet<string> = new Set(['any_value', 'bit_and', 'bit_or', 'bit_xor']);

/** Aggregates over an order: `name(fraction) WITHIN GROUP (ORDER BY x)`. */
const ORDERED: ReadonlySet<string> = new Set(['percentile_cont', 'percentile_disc', 'mode']);

/** Whether a name (lower case) is that of an aggregate. */
export function isAggregateName(name: string): boolean {
  return isAggregate(name) || NUMERIC.has(name) || ORDERED.has(name) || DOCUMENTS.has(name) || ALIKE.has(name) || name === 'array_agg';
}

/** What stands before OVER, or the whole call: the type is that of the dialect, `cast` brings DuckDB's to it. */
export interface AggregateText {
  readonly text: string;
  readonly result: Piece;
  /** What is made of the text with all that follows it. */
  readonly wrap?: (text: string) => string;
}

/** An aggregate. Throws AGGREGATE_MISUSE where there are none, FUNCTION_NOT_FOUND and TYPE_MISMATCH. */
export function writeAggregate(name: string, call: FuncCall, place: Place): Piece {
  if (place.noAggregates !== undefined) {
    throw kalamError('AGGREGATE_MISUSE', { reason: `${name.toUpperCase()}: aggregate functions are not allowed in ${place.noAggregates}` });
  }
  return finished(aggregateText(name, call, place), '');
}

/** The aggregate with what follows it, in the dialect's type. */
export function finished({ text, result, wrap = (whole) => whole }: AggregateText, tail: string): Piece {
  const type = typeOf(result);
  const whole = wrap(`${text}${tail}`);
  return { ...result, text: type === undefined ? whole : `CAST(${whole} AS ${duckdbType(type)})` };
}

/** See {@link AggregateText}. */
export function aggregateText(name: string, call: FuncCall, outer: Place): AggregateText {
  // Over a window the argument may be an aggregate itself.
  const noAggregates = call.over === undefined ? 'the argument of an aggregate' : undefined;
  const place: Place = { ...outer, noAggregates, mentioned: undefined };
  const filter = call.agg_filter === undefined ? '' : ` FILTER (WHERE ${filterText(call.agg_filter, place)})`;
  const operands = (call.args ?? []).map((argument) => place.writer.expression(argument, place));
  if (call.agg_within_group === true || ORDERED.has(name)) return overOrder(name, call, { operands, filter, place });
  const order = call.agg_order === undefined ? '' : ` ORDER BY ${call.agg_order.map((item) => writeSorted(item, place)).join(', ')}`;
  const [first] = operands;
  const sorts = call.agg_distinct === true && order === '';
  const distinct = call.agg_distinct === true ? 'DISTINCT ' : '';
  if (name === 'array_agg' && first !== undefined && operands.length === 1) {
    const list = { text: `array_agg(${distinct}${first.text}${order})${filter}`, result: listPiece('', first) };
    return sorts ? { ...list, wrap: sortedList } : list;
  }
  if (first?.foreign === 'interval' && operands.length === 1 && call.agg_distinct !== true) {
    const found = ofIntervals(name, first, filter);
    if (found !== undefined) return found;
  }
  if (DOCUMENTS.has(name)) return documentText(name, operands, { distinct, order, filter, sorts });
  const written = isAggregate(name) ? bound(name, call, operands, place) : numeric(name, operands, place);
  if (sorts && name === 'string_agg') return joinedList(written, filter);
  return { text: `${written.name}(${distinct}${written.operands.join(', ')}${order})${filter}`, result: written.result };
}

/** PostgreSQL sorts to find what is DISTINCT, and users see that order in a list. */
function sortedList(list: string): string {
  return `list_sort(${list}, 'ASC', 'NULLS LAST')`;
}

/** `string_agg(DISTINCT …)` by a list, in the order of the texts. */
function joinedList({ operands: [value = '', separator = ''], result }: Written, filter: string): AggregateText {
  const texts = (list: string): string => sortedList(`list_filter(${list}, lambda e: e IS NOT NULL)`);
  const joined = `CASE WHEN len(l) > 0 THEN array_to_string(l, ${separator}) END`;
  return {
    text: `array_agg(DISTINCT ${value})${filter}`,
    result,
    wrap: (list) => `list_transform([${texts(list)}], lambda l: ${joined})[1]`,
  };
}

/** Intervals are compared as they are; sums are made of the list of them. */
function ofIntervals(name: string, first: Piece, filter: string): AggregateText | undefined {
  const result = foreignPiece('', 'interval');
  if (name === 'min' || name === 'max') return { text: `${name}(${first.text})${filter}`, result };
  if (name !== 'sum' && name !== 'avg') return undefined;
  const sum = 'list_reduce(l, lambda a, b: a + b)';
  const made = name === 'sum' ? sum : `"/"(${sum}, CAST(len(l) AS DOUBLE))`;
  const wrap = (list: string): string =>
    `list_transform([list_filter(${list}, lambda e: e IS NOT NULL)], lambda l: CASE WHEN len(l) > 0 THEN ${made} END)[1]`;
  return { text: `array_agg(${first.text})${filter}`, result, wrap };
}

/** Documents are gathered as a list, and made one when it is whole; over a window too. */
function documentText(
  name: string,
  operands: readonly Piece[],
  {
    distinct,
    order,
    filter,
    sorts,
  }: { readonly distinct: string; readonly order: string; readonly filter: string; readonly sorts: boolean },
): AggregateText {
  const [first, second] = operands;
  const pairs = name.endsWith('object_agg');
  if (first === undefined || operands.length !== (pairs ? 2 : 1)) throw kalamError('FUNCTION_NOT_FOUND', { name });
  const value = (of: Piece): string => `coalesce(${jsonValue(of)}, CAST('null' AS JSON))`;
  if (!pairs || second === undefined) {
    const item = value({ ...bare(first), text: 'a' });
    const text = `array_agg(${distinct}${first.text}${order})${filter}`;
    return {
      text,
      result: jsonDocument(''),
      wrap: (list) => `to_json(list_transform(${sorts ? sortedList(list) : list}, lambda a: ${item}))`,
    };
  }
  const key = `CAST(to_json(CAST(${first.text} AS VARCHAR)) AS VARCHAR)`;
  const entry = `(${key} || ':' || CAST(${value(second)} AS VARCHAR))`;
  const text = `string_agg(${distinct}${entry}, ','${order})${filter}`;
  return { text, result: jsonDocument(''), wrap: (entries) => `('{' || ${entries} || '}')` };
}

function filterText(node: Node, place: Place): string {
  const tested = place.writer.expression(node, { ...place, noAggregates: 'FILTER' });
  return tested.typed === undefined ? tested.text : place.unit.values.coerced(tested, condition(tested.typed, 'FILTER'));
}

interface Written {
  readonly name: string;
  readonly operands: readonly string[];
  readonly result: Piece;
}

/** DuckDB's names where they differ. */
const NAMES: Readonly<Record<string, string>> = { every: 'bool_and', variance: 'var_samp', stddev: 'stddev_samp' };

function bound(name: string, call: FuncCall, operands: readonly Piece[], { unit }: Place): Written {
  const [first] = operands;
  if (name === 'count' && first !== undefined && first.typed === undefined)
    return { name, operands: [first.text], result: piece('', plainType('bigint')) };
  const nodes = operands.map((operand) => {
    if (operand.typed === undefined) throw kalamError('FUNCTION_NOT_FOUND', { name });
    return operand.typed.kind === 'value' ? operand.typed : standIn(operand.typed.type);
  });
  const { type } = bindAggregate({
    name,
    arguments: nodes,
    star: call.agg_star === true,
    distinct: call.agg_distinct === true,
    filter: undefined,
  });
  const texts = operands.map((operand) => operandText(name, operand, unit.values));
  return { name: NAMES[name] ?? name, operands: call.agg_star === true ? ['*'] : texts, result: piece('', type) };
}

/** Averages and spreads are those of doubles; sums of whole numbers are exact. */
function operandText(name: string, operand: Piece, values: Place['unit']['values']): string {
  const type = typeOf(operand);
  if (type === undefined) return operand.text;
  if (values.constant(operand) === null) {
    if (/^(bool_|every)/.test(name)) return values.as(operand, plainType('boolean'));
    if (/^(var|std)/.test(name)) return values.as(operand, double);
  }
  if (name === 'string_agg') return values.as(operand, plainType('text'), 'explicit');
  if (name === 'sum' && isInteger(type)) return castText(operand.text, type, plainType('bigint'));
  if (name === 'sum' && type.kind === 'float') return castText(operand.text, type, double);
  return operand.text;
}

function numeric(name: string, operands: readonly Piece[], { unit }: Place): Written {
  const [first, second] = operands;
  const type = first === undefined ? undefined : typeOf(first);
  if (first === undefined || type === undefined) throw kalamError('FUNCTION_NOT_FOUND', { name });
  if (name.startsWith('bit_') && !isInteger(type)) throw kalamError('FUNCTION_NOT_FOUND', { name });
  if (!NUMERIC.has(name)) {
    if (operands.length !== 1) throw kalamError('FUNCTION_NOT_FOUND', { name });
    return { name, operands: [first.text], result: piece('', type) };
  }
  if (second === undefined || operands.length !== 2) throw kalamError('FUNCTION_NOT_FOUND', { name });
  const result = piece('', name === 'regr_count' ? plainType('bigint') : double);
  return { name, operands: [first, second].map((operand) => unit.values.as(operand, double)), result };
}

interface OrderedParts {
  readonly operands: readonly Piece[];
  readonly filter: string;
  readonly place: Place;
}

function overOrder(name: string, call: FuncCall, { operands, filter, place }: OrderedParts): AggregateText {
  const [item, second] = call.agg_order ?? [];
  if (!ORDERED.has(name) || item === undefined || second !== undefined || !('SortBy' in item) || item.SortBy.node === undefined) {
    return place.unit.missing('WITHIN GROUP for this function', call.location);
  }
  const sorted = place.writer.expression(item.SortBy.node, place);
  const type = typeOf(sorted);
  if (type === undefined) throw kalamError('FUNCTION_NOT_FOUND', { name });
  if (name === 'mode') return { text: `mode(${sorted.text})${filter}`, result: piece('', type) };
  const [fraction] = operands;
  const cell = fraction === undefined ? undefined : place.unit.values.constant(fraction);
  if (fraction?.foreign === 'list') return fractions(name, { fraction, sorted, item, filter, place });
  if (fraction === undefined || cell === undefined || operands.length !== 1)
    return place.unit.missing('a computed fraction', call.location);
  const descending = item.SortBy.sortby_dir === 'SORTBY_DESC';
  const at = place.unit.values.as(fraction, double);
  const position = descending ? `CAST('${1 - Number(cell)}' AS DOUBLE)` : at;
  const exact = name === 'percentile_disc';
  const value = exact ? sorted.text : place.unit.values.as(sorted, double);
  return { text: `${exact ? 'quantile_disc' : 'quantile_cont'}(${value}, ${position})${filter}`, result: piece('', exact ? type : double) };
}

interface Fractions {
  readonly fraction: Piece;
  readonly sorted: Piece;
  readonly item: Node;
  readonly filter: string;
  readonly place: Place;
}

/** Several fractions at once: one of the aggregate for each of a list as written. */
function fractions(name: string, { fraction, sorted, item, filter, place }: Fractions): AggregateText {
  const type = typeOf(sorted);
  if (type === undefined || ('SortBy' in item && item.SortBy.sortby_dir === 'SORTBY_DESC'))
    return place.unit.missing('these fractions', undefined);
  const exact = name === 'percentile_disc';
  const value = exact ? sorted.text : place.unit.values.as(sorted, double);
  const text = `${exact ? 'quantile_disc' : 'quantile_cont'}(${value}, ${castList(fraction, double, place).text})${filter}`;
  return { text, result: listPiece('', piece('', exact ? type : double)) };
}

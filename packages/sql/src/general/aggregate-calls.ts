import { kalamError, plainType } from '@kalamdb/protocol';
import type { FuncCall, Node } from 'libpg-query';
import { bindAggregate, isAggregate } from '../expression/aggregates.ts';
import { condition } from '../expression/logic.ts';
import { isInteger } from '../expression/type-families.ts';
import { castText, duckdbType } from './duckdb-text.ts';
import { foreignPiece, type Piece, piece, standIn, typeOf } from './piece.ts';
import type { Place } from './scope.ts';
import { writeSorted } from './sorting.ts';

const double = plainType('double');

/** Aggregates over doubles that only this executor has. */
const NUMERIC: ReadonlySet<string> = new Set(['corr', 'covar_pop', 'covar_samp', 'regr_slope', 'regr_intercept', 'regr_r2', 'regr_count']);

/** Aggregates over an order: `name(fraction) WITHIN GROUP (ORDER BY x)`. */
const ORDERED: ReadonlySet<string> = new Set(['percentile_cont', 'percentile_disc', 'mode']);

/** Whether a name (lower case) is that of an aggregate. */
export function isAggregateName(name: string): boolean {
  return (
    isAggregate(name) ||
    NUMERIC.has(name) ||
    ORDERED.has(name) ||
    name === 'array_agg' ||
    name === 'any_value' ||
    name === 'bit_and' ||
    name === 'bit_or'
  );
}

/** What stands before OVER, or the whole call: the type is that of the dialect, `cast` brings DuckDB's to it. */
export interface AggregateText {
  readonly text: string;
  readonly result: Piece;
}

/** An aggregate. Throws AGGREGATE_MISUSE where there are none, FUNCTION_NOT_FOUND and TYPE_MISMATCH. */
export function writeAggregate(name: string, call: FuncCall, place: Place): Piece {
  if (place.noAggregates !== undefined) {
    throw kalamError('AGGREGATE_MISUSE', { reason: `${name.toUpperCase()}: aggregate functions are not allowed in ${place.noAggregates}` });
  }
  return finished(aggregateText(name, call, place), '');
}

/** The aggregate with what follows it, in the dialect's type. */
export function finished({ text, result }: AggregateText, tail: string): Piece {
  const type = typeOf(result);
  if (type === undefined) return { ...result, text: `${text}${tail}` };
  return { ...result, text: `CAST(${text}${tail} AS ${duckdbType(type)})` };
}

/** See {@link AggregateText}. */
export function aggregateText(name: string, call: FuncCall, outer: Place): AggregateText {
  const place: Place = { ...outer, noAggregates: 'the argument of an aggregate', mentioned: undefined };
  const filter = call.agg_filter === undefined ? '' : ` FILTER (WHERE ${filterText(call.agg_filter, place)})`;
  const operands = (call.args ?? []).map((argument) => place.writer.expression(argument, place));
  if (call.agg_within_group === true || ORDERED.has(name)) return overOrder(name, call, { operands, filter, place });
  const order = call.agg_order === undefined ? '' : ` ORDER BY ${call.agg_order.map((item) => writeSorted(item, place)).join(', ')}`;
  const distinct = call.agg_distinct === true ? 'DISTINCT ' : '';
  const [first] = operands;
  if (name === 'array_agg' && first !== undefined && operands.length === 1) {
    return { text: `array_agg(${distinct}${first.text}${order})${filter}`, result: foreignPiece('', 'list', typeOf(first)) };
  }
  const written = isAggregate(name) ? bound(name, call, operands, place) : numeric(name, operands, place);
  return { text: `${written.name}(${distinct}${written.operands.join(', ')}${order})${filter}`, result: written.result };
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
  if (fraction === undefined || cell === undefined || operands.length !== 1)
    return place.unit.missing('a computed fraction', call.location);
  const descending = item.SortBy.sortby_dir === 'SORTBY_DESC';
  const at = place.unit.values.as(fraction, double);
  const position = descending ? `CAST('${1 - Number(cell)}' AS DOUBLE)` : at;
  const exact = name === 'percentile_disc';
  const value = exact ? sorted.text : place.unit.values.as(sorted, double);
  return { text: `${exact ? 'quantile_disc' : 'quantile_cont'}(${value}, ${position})${filter}`, result: piece('', exact ? type : double) };
}

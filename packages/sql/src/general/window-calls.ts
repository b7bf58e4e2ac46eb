import { type DataType, kalamError, plainType } from '@kalamdb/protocol';
import type { FuncCall, Node, WindowDef } from 'libpg-query';
import { condition } from '../expression/logic.ts';
import { aggregateText, finished, isAggregateName } from './aggregate-calls.ts';
import { unified } from './meeting.ts';
import { type Piece, piece } from './piece.ts';
import type { Place } from './scope.ts';
import { writeSorted } from './sorting.ts';

/** The results of window functions; `undefined`: that of the first argument. */
const WINDOW_FUNCTIONS: ReadonlyMap<string, DataType | undefined> = new Map([
  ['row_number', plainType('bigint')],
  ['rank', plainType('bigint')],
  ['dense_rank', plainType('bigint')],
  ['percent_rank', plainType('double')],
  ['cume_dist', plainType('double')],
  ['ntile', plainType('bigint')],
  ['lag', undefined],
  ['lead', undefined],
  ['first_value', undefined],
  ['last_value', undefined],
  ['nth_value', undefined],
]);

/** Unsigned numbers of the original, which it tells clients are texts (wire-protocol 3.5). */
const RANKS: ReadonlySet<string> = new Set(['row_number', 'rank', 'dense_rank', 'ntile']);

/** Arguments: fewest and most. */
const COUNTS: Readonly<Record<string, readonly [number, number]>> = {
  ntile: [1, 1],
  lag: [1, 3],
  lead: [1, 3],
  first_value: [1, 1],
  last_value: [1, 1],
  nth_value: [2, 2],
};

/** The bits of `frameOptions` in PostgreSQL's tree (nodes/parsenodes.h). */
const FRAME = {
  custom: 0x1,
  range: 0x2,
  rows: 0x4,
  between: 0x10,
  startUnboundedPreceding: 0x20,
  endUnboundedFollowing: 0x100,
  startCurrentRow: 0x200,
  endCurrentRow: 0x400,
  startPreceding: 0x800,
  endPreceding: 0x1000,
  startFollowing: 0x2000,
  endFollowing: 0x4000,
  excludeCurrentRow: 0x8000,
  excludeGroup: 0x10000,
  excludeTies: 0x20000,
} as const;

/** Whether a name (lower case) is a function that only windows have. */
export function isWindowName(name: string): boolean {
  return WINDOW_FUNCTIONS.has(name);
}

/** A call with OVER. */
export function writeWindowCall(name: string, call: FuncCall, place: Place): Piece {
  const { over } = call;
  if (place.noAggregates !== undefined) {
    throw kalamError('AGGREGATE_MISUSE', { reason: `window functions are not allowed in ${place.noAggregates}` });
  }
  if (over === undefined) throw kalamError('INVALID_OPERATION', { reason: `window function ${name} requires an OVER clause` });
  const window = ` OVER (${writeWindow(over, place)})`;
  if (isAggregateName(name)) return finished(aggregateText(name, call, place), window);
  if (!isWindowName(name)) throw kalamError('FUNCTION_NOT_FOUND', { name });
  const operands = (call.args ?? []).map((argument) => place.writer.expression(argument, place));
  const [fewest, most] = COUNTS[name] ?? [0, 0];
  if (operands.length < fewest || operands.length > most) throw kalamError('FUNCTION_NOT_FOUND', { name });
  const filter = call.agg_filter === undefined ? '' : ` FILTER (WHERE ${filterOf(call.agg_filter, place)})`;
  const [first, second, third] = operands;
  const known = WINDOW_FUNCTIONS.get(name);
  if (first === undefined || known !== undefined) {
    const text = `CAST(${name}(${operands.map((operand) => operand.text).join(', ')})${filter}${window} AS ${known?.kind ?? 'bigint'})`;
    const made = piece(text, known ?? plainType('bigint'));
    return RANKS.has(name) ? { ...made, shownAs: plainType('text') } : made;
  }
  const alike = unified(third === undefined ? [first] : [first, third], name.toUpperCase(), place);
  const rest = second === undefined ? [] : [place.unit.values.as(second, plainType('bigint'))];
  const values = [alike.texts[0] ?? '', ...rest, ...alike.texts.slice(1)];
  const result = alike.as(`${name}(${values.join(', ')})${filter}${window}`);
  return result;
}

function filterOf(node: Node, place: Place): string {
  const tested = place.writer.expression(node, place);
  return tested.typed === undefined ? tested.text : place.unit.values.coerced(tested, condition(tested.typed, 'FILTER'));
}

/** What stands in the parentheses after OVER; windows with names are written out. */
function writeWindow(window: WindowDef, place: Place): string {
  const { unit } = place;
  const reference = window.refname ?? window.name;
  const base = reference === undefined ? undefined : place.windows.get(reference);
  if (reference !== undefined && base === undefined) {
    return unit.fail(window.location, kalamError('INVALID_OPERATION', { reason: `window "${reference}" does not exist` }));
  }
  const named = window.name !== undefined && window.refname === undefined ? base : undefined;
  const outer = base === undefined ? undefined : inherited(base, place);
  const partition = window.partitionClause ?? outer?.partitionClause;
  const order = window.orderClause ?? outer?.orderClause;
  const framed = named ?? window;
  const parts: string[] = [];
  const inner: Place = { ...place, noAggregates: undefined };
  if (partition !== undefined) parts.push(`PARTITION BY ${partition.map((node) => inner.writer.expression(node, inner).text).join(', ')}`);
  if (order !== undefined) parts.push(`ORDER BY ${order.map((item) => writeSorted(item, inner)).join(', ')}`);
  const frame = writeFrame(framed, inner);
  if (frame !== '') parts.push(frame);
  return parts.join(' ');
}

/** A window with what it takes over from the one that it names. */
function inherited(window: WindowDef, place: Place): WindowDef {
  const base = window.refname === undefined ? undefined : place.windows.get(window.refname);
  if (base === undefined || base === window) return window;
  const outer = inherited(base, place);
  const partitionClause = window.partitionClause ?? outer.partitionClause;
  const orderClause = window.orderClause ?? outer.orderClause;
  return {
    ...window,
    ...(partitionClause === undefined ? {} : { partitionClause }),
    ...(orderClause === undefined ? {} : { orderClause }),
  };
}

function writeFrame(window: WindowDef, place: Place): string {
  const options = window.frameOptions ?? 0;
  const has = (bit: number): boolean => (options & bit) !== 0;
  if (!has(FRAME.custom)) return '';
  const unit = has(FRAME.rows) ? 'ROWS' : has(FRAME.range) ? 'RANGE' : 'GROUPS';
  const offset = (node: Node | undefined): string =>
    node === undefined ? '0' : place.writer.expression(node, { ...place, noAggregates: 'a frame' }).text;
  const start = has(FRAME.startUnboundedPreceding)
    ? 'UNBOUNDED PRECEDING'
    : has(FRAME.startCurrentRow)
      ? 'CURRENT ROW'
      : `${offset(window.startOffset)} ${has(FRAME.startPreceding) ? 'PRECEDING' : 'FOLLOWING'}`;
  const end = has(FRAME.endUnboundedFollowing)
    ? 'UNBOUNDED FOLLOWING'
    : has(FRAME.endCurrentRow)
      ? 'CURRENT ROW'
      : `${offset(window.endOffset)} ${has(FRAME.endPreceding) ? 'PRECEDING' : 'FOLLOWING'}`;
  const excluded = has(FRAME.excludeCurrentRow)
    ? ' EXCLUDE CURRENT ROW'
    : has(FRAME.excludeGroup)
      ? ' EXCLUDE GROUP'
      : has(FRAME.excludeTies)
        ? ' EXCLUDE TIES'
        : '';
  return `${unit} BETWEEN ${start} AND ${end}${excluded}`;
}

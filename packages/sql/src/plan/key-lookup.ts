import { type Cell, compareCells, type DataType, type NonNullCell } from '@kalamdb/protocol';
import type { EvalContext, InputRow } from '../expression/input-row.ts';
import { isMembership } from '../expression/membership.ts';
import { INT64_MAX, INT64_MIN, powerOfTen } from '../expression/numeric.ts';
import type { Evaluator, OperationNode, Typed } from '../expression/typed.ts';
import type { KeyBound, KeyBounds, KeyLookup, KeyRangeLookup } from './plans.ts';
import type { TableInfo } from './table-info.ts';

const NO_ROW: InputRow = { cells: [], seq: 0n, deleted: false };

/** The conditions that must all be true for the whole to be true. */
export function conjuncts(filter: Typed): readonly Typed[] {
  if (filter.kind !== 'operation' || filter.name !== 'and') return [filter];
  return filter.operands.flatMap(conjuncts);
}

/** A condition `column operator value` whose value is fixed within an execution. */
export interface ColumnCondition {
  readonly index: number;
  readonly operator: '=' | '<' | '<=' | '>' | '>=';
  readonly value: Typed;
}

const MIRRORED = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const;

/** Reads a condition as one on a single column; `undefined` when it is something else. */
export function columnCondition(node: Typed): ColumnCondition | undefined {
  if (node.kind !== 'operation' || !isOrderOperator(node)) return undefined;
  const [left, right] = node.operands;
  if (left === undefined || right === undefined) return undefined;
  if (left.kind === 'column' && isFixed(right)) return { index: left.index, operator: node.name, value: right };
  if (right.kind === 'column' && isFixed(left)) return { index: right.index, operator: MIRRORED[node.name], value: left };
  return undefined;
}

function isOrderOperator(node: OperationNode): node is OperationNode & { readonly name: ColumnCondition['operator'] } {
  return Object.hasOwn(MIRRORED, node.name);
}

function isFixed(node: Typed): boolean {
  return node.stability === 'constant' || node.stability === 'execution';
}

/** What a filter says about the primary key. */
export interface KeyConditions {
  readonly keys: KeyLookup | undefined;
  readonly keyRange: KeyRangeLookup | undefined;
}

/** Finds key equality, IN and bounds in the top-level ANDs of a filter. Floating-point keys are not looked up. */
export function keyConditions(table: TableInfo, filter: Typed | undefined): KeyConditions {
  const keyIndex = table.columns.findIndex((column) => column.primaryKey);
  const type = table.columns[keyIndex]?.type;
  if (filter === undefined || type === undefined || type.kind === 'float' || type.kind === 'double')
    return { keys: undefined, keyRange: undefined };
  const parts = conjuncts(filter);
  const conditions = parts
    .map(columnCondition)
    .filter((condition) => condition?.index === keyIndex)
    .filter((condition) => condition !== undefined);
  const equal = conditions.find((condition) => condition.operator === '=');
  const listed = parts.find((part) => isMembership(part) && isKey(part.operands[0], keyIndex));
  const bounds = conditions.filter((condition) => condition.operator !== '=');
  const keyRange = bounds.length === 0 ? undefined : rangeLookup(bounds, type);
  if (equal !== undefined) return { keys: equalityLookup(equal.value.evaluate, type), keyRange };
  if (listed !== undefined && isMembership(listed)) {
    const compare = compareCells(type);
    return { keys: (context) => distinctKeys(listed.candidates(context), type).sort(compare), keyRange };
  }
  return { keys: undefined, keyRange };
}

function isKey(node: Typed | undefined, keyIndex: number): boolean {
  return node?.kind === 'column' && node.index === keyIndex;
}

function equalityLookup(evaluate: Evaluator, type: DataType): KeyLookup {
  return (context) => {
    const cell = evaluate(NO_ROW, context);
    return cell !== null && inDomain(cell, type) ? [cell] : [];
  };
}

function distinctKeys(cells: Iterable<Cell>, type: DataType): NonNullCell[] {
  const keys: NonNullCell[] = [];
  for (const cell of cells) if (cell !== null && inDomain(cell, type)) keys.push(cell);
  return keys;
}

/** Least and greatest cell of the types whose comparisons may meet values that the type cannot hold. */
function domain(type: DataType): readonly [number, number] | readonly [bigint, bigint] | undefined {
  switch (type.kind) {
    case 'smallint':
      return [-0x8000, 0x7fff];
    case 'int':
    case 'date':
      return [-0x80000000, 0x7fffffff];
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return [INT64_MIN, INT64_MAX];
    case 'decimal':
      return [1n - powerOfTen(type.precision), powerOfTen(type.precision) - 1n];
    default:
      return undefined;
  }
}

function inDomain(cell: NonNullCell, type: DataType): boolean {
  const limits = domain(type);
  if (limits === undefined) return true;
  if (typeof cell === 'number') return Number.isInteger(cell) && cell >= limits[0] && cell <= limits[1];
  return typeof cell === 'bigint' && cell >= limits[0] && cell <= limits[1];
}

function rangeLookup(conditions: readonly ColumnCondition[], type: DataType): KeyRangeLookup {
  const compare = compareCells(type);
  const limits = domain(type);
  return (context) => {
    let bounds: KeyBounds | undefined = { from: undefined, to: undefined };
    for (const condition of conditions) {
      if (bounds === undefined) return undefined;
      const cell = condition.value.evaluate(NO_ROW, context);
      if (cell === null) return undefined;
      bounds = narrowed(bounds, { condition, cell, limits, compare });
    }
    return bounds;
  };
}

interface Narrowing {
  readonly condition: ColumnCondition;
  readonly cell: NonNullCell;
  readonly limits: ReturnType<typeof domain>;
  readonly compare: (a: NonNullCell, b: NonNullCell) => number;
}

function narrowed(bounds: KeyBounds, { condition, cell, limits, compare }: Narrowing): KeyBounds | undefined {
  const lower = condition.operator === '>' || condition.operator === '>=';
  const inclusive = condition.operator === '>=' || condition.operator === '<=';
  if (limits !== undefined && (typeof cell === 'number' || typeof cell === 'bigint')) {
    if (cell > limits[1]) return lower ? undefined : bounds;
    if (cell < limits[0]) return lower ? bounds : undefined;
  }
  const whole = typeof cell === 'number' && !Number.isInteger(cell);
  const bound: KeyBound = whole ? { cell: lower ? Math.ceil(cell) : Math.floor(cell), inclusive: true } : { cell, inclusive };
  if (lower) return { ...bounds, from: tighter(bounds.from, bound, (a, b) => compare(a, b) > 0) };
  return { ...bounds, to: tighter(bounds.to, bound, (a, b) => compare(a, b) < 0) };
}

function tighter(known: KeyBound | undefined, next: KeyBound, isTighter: (a: NonNullCell, b: NonNullCell) => boolean): KeyBound {
  if (known === undefined || isTighter(next.cell, known.cell)) return next;
  return isTighter(known.cell, next.cell) || !known.inclusive ? known : next;
}

/** Whether a value that was coerced to a type, or met a column of it in a comparison, is a cell of the type. */
export function isCellOf(cell: NonNullCell, type: DataType): boolean {
  return (type.kind !== 'float' || Math.fround(Number(cell)) === cell) && inDomain(cell, type);
}

/** Evaluates an expression that reads no row. */
export function evaluateFixed(node: Typed, context: EvalContext): Cell {
  return node.evaluate(NO_ROW, context);
}

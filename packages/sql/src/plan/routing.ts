import { type Cell, KalamError } from '@kalamdb/protocol';
import { dependsOnTime } from '../expression/functions/context-functions.ts';
import type { EvalContext } from '../expression/input-row.ts';
import { likePrefix } from '../expression/like.ts';
import { isMembership, type MembershipNode } from '../expression/membership.ts';
import { representation } from '../expression/type-families.ts';
import { type ColumnNode, type OperationNode, someNode, type Typed } from '../expression/typed.ts';
import { intersection, NO_CELLS, rangeSet, union } from './cell-set.ts';
import { columnCondition, evaluateFixed } from './key-lookup.ts';
import type { CellSet, RoutingCondition } from './plans.ts';

/** The cells that a condition lets through, by column index; a column that is absent may hold anything. */
type CellSets = ReadonlyMap<number, CellSet>;

/** Reads a condition with the values of its caller. */
type Reader = (context: EvalContext) => CellSets;

const NOTHING_KNOWN: CellSets = new Map();

/**
 * What a filter demands of the cells of single columns: for {@link SubscriptionPlan.routing}. It understands `=`, IN, `<`, `<=`, `>`,
 * `>=`, BETWEEN, LIKE with a literal beginning, IS NULL, IS NOT DISTINCT FROM and conditions on booleans, between a stored column and
 * a value that stays the same for a caller, and AND and OR of them.
 */
export function routingReader(filter: Typed | undefined): (context: EvalContext) => readonly RoutingCondition[] {
  if (filter === undefined) return () => [];
  const read = reader(filter);
  return (context) => {
    try {
      return [...read(context)].map(([columnIndex, cells]) => ({ columnIndex, ...cells }));
    } catch (error) {
      // A value that cannot be computed is the filter's to report, when it comes to it.
      if (error instanceof KalamError) return [];
      throw error;
    }
  };
}

function reader(node: Typed): Reader {
  if (node.kind === 'constant') return node.cell === true ? () => NOTHING_KNOWN : nothingMatches();
  if (node.kind === 'operation' && node.name === 'and') return both(node.operands.map(reader));
  if (node.kind === 'operation' && node.name === 'or') return either(node.operands.map(reader));
  const leaf = leafReader(node);
  if (leaf === undefined) return () => NOTHING_KNOWN;
  const { index, cells } = leaf;
  return (context) => new Map([[index, cells(context)]]);
}

/** No row fulfils it, which the first column says as well as any. */
function nothingMatches(): Reader {
  const none: CellSets = new Map([[0, NO_CELLS]]);
  return () => none;
}

function both(readers: readonly Reader[]): Reader {
  return (context) => {
    const sets = new Map<number, CellSet>();
    for (const read of readers) {
      for (const [index, cells] of read(context)) {
        const known = sets.get(index);
        sets.set(index, known === undefined ? cells : intersection(known, cells));
      }
    }
    return sets;
  };
}

function either(readers: readonly Reader[]): Reader {
  return (context) => {
    const [first, ...others] = readers.map((read) => read(context));
    const sets = new Map<number, CellSet>();
    for (const [index, cells] of first ?? NOTHING_KNOWN) {
      const further = others.map((other) => other.get(index)).filter((set) => set !== undefined);
      if (further.length === others.length) sets.set(index, union([cells, ...further]));
    }
    return sets;
  };
}

interface Leaf {
  readonly index: number;
  readonly cells: (context: EvalContext) => CellSet;
}

const pointSet = (...points: readonly Cell[]): CellSet => ({ points, ranges: [] });

/** A condition on one column; `undefined` when it is something else. */
function leafReader(node: Typed): Leaf | undefined {
  if (node.kind === 'column') return fixedLeaf(node, pointSet(true));
  if (node.kind !== 'operation') return undefined;
  const [operand] = node.operands;
  if (operand?.kind !== 'column') return comparisonLeaf(node, undefined);
  switch (node.name) {
    case 'is null':
      return fixedLeaf(operand, pointSet(null));
    case 'is true':
      return fixedLeaf(operand, pointSet(true));
    case 'is false':
    case 'not':
      return fixedLeaf(operand, pointSet(false));
    case 'is not false':
      return fixedLeaf(operand, pointSet(true, null));
    case 'is not true':
      return fixedLeaf(operand, pointSet(false, null));
    case 'is unknown':
      return fixedLeaf(operand, pointSet(null));
    case 'like':
      return likeLeaf(node, operand);
    default:
      return comparisonLeaf(node, operand);
  }
}

function fixedLeaf(column: ColumnNode, cells: CellSet): Leaf | undefined {
  return isRoutable(column) ? { index: column.index, cells: () => cells } : undefined;
}

function comparisonLeaf(node: OperationNode, operand: ColumnNode | undefined): Leaf | undefined {
  if (operand !== undefined && isMembership(node)) return membershipLeaf(node, operand);
  if (node.name === 'is not distinct from') return sameLeaf(node);
  const condition = columnCondition(node);
  const column = node.operands.find((side) => side.kind === 'column' && side.index === condition?.index);
  if (condition === undefined || column?.kind !== 'column' || !meets(column, condition.value)) return undefined;
  const { index, operator, value } = condition;
  if (operator !== '=' && column.type.kind === 'boolean') return undefined;
  return { index, cells: (context) => comparedCells(operator, evaluateFixed(value, context)) };
}

/** IS NOT DISTINCT FROM: equality in which NULL equals NULL. */
function sameLeaf({ operands: [left, right] }: OperationNode): Leaf | undefined {
  const [column, value] = left?.kind === 'column' ? [left, right] : [right, left];
  if (column?.kind !== 'column' || value === undefined || !meets(column, value)) return undefined;
  return { index: column.index, cells: (context) => pointSet(evaluateFixed(value, context)) };
}

/** Whether the cells of a column are compared, as they are, with a value that stays the same for a caller. */
function meets(column: ColumnNode, value: Typed): boolean {
  return isRoutable(column) && isFixed(value) && representation(value.type) === representation(column.type);
}

/** Stored cells that are equal in SQL exactly when they are the same key of a Map, or less often. */
function isRoutable({ column }: ColumnNode): boolean {
  const kind = representation(column.type);
  return column.system === undefined && kind !== 'bytes' && kind !== 'vector';
}

/** Whether a value stays the same as long as its caller and the parameters do. */
function isFixed(node: Typed): boolean {
  return node.stability === 'constant' || (node.stability === 'execution' && !someNode(node, dependsOnTime));
}

function comparedCells(operator: '=' | '<' | '<=' | '>' | '>=', cell: Cell): CellSet {
  // Nothing compares with NULL, nor with what is not a number.
  if (cell === null || Number.isNaN(cell)) return NO_CELLS;
  switch (operator) {
    case '=':
      return pointSet(cell);
    case '<':
    case '<=':
      return rangeSet(undefined, { cell, inclusive: operator === '<=' });
    case '>':
    case '>=':
      return rangeSet({ cell, inclusive: operator === '>=' }, undefined);
  }
}

function membershipLeaf(node: MembershipNode, column: ColumnNode): Leaf | undefined {
  if (!isRoutable(column) || !node.operands.slice(1).every(isFixed)) return undefined;
  return { index: column.index, cells: (context) => pointSet(...node.candidates(context)) };
}

function likeLeaf({ operands: [, pattern, escaper] }: OperationNode, column: ColumnNode): Leaf | undefined {
  if (column.type.kind !== 'text' || !isRoutable(column) || pattern === undefined || !isFixed(pattern)) return undefined;
  if (escaper?.kind !== 'constant' || escaper.cell === null) return undefined;
  const escapeText = String(escaper.cell);
  return {
    index: column.index,
    cells: (context) => {
      const text = evaluateFixed(pattern, context);
      if (text === null) return NO_CELLS;
      const { prefix, isWhole } = likePrefix(String(text), escapeText);
      return isWhole ? pointSet(prefix) : beginningWith(prefix);
    },
  };
}

/** The texts that begin with a text: in the order of code points they stand together. */
function beginningWith(prefix: string): CellSet {
  const next = textAfterAll(prefix);
  return rangeSet({ cell: prefix, inclusive: true }, next === undefined ? undefined : { cell: next, inclusive: false });
}

/** The least text above all that begin with a text; `undefined` when there is none. */
function textAfterAll(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) ?? 0;
    if (point === 0x10ffff) continue;
    // The halves of surrogate pairs are no code points of their own.
    return points.join('') + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1);
  }
  return undefined;
}

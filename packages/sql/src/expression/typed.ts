import type { Cell, DataType } from '@kalamdb/protocol';
import type { LiteralKind, Position } from '../statement/ast.ts';
import { type ColumnInfo, type EvalContext, type InputRow, parameterContext } from './input-row.ts';
import type { Preparation } from './preparation.ts';

/** A compiled expression. Pure but for what {@link Stability} says. */
export type Evaluator = (row: InputRow, context: EvalContext) => Cell;

/** Whether a row qualifies. Three-valued logic is folded: `true` only when the condition is TRUE, never when it is NULL. */
export type Predicate = (row: InputRow, context: EvalContext) => boolean;

/**
 * When an expression's value can change: never; from one execution to the next (parameters, NOW, CURRENT_USER); from row
 * to row; with each call (RANDOM, SNOWFLAKE_ID). An expression is as unstable as its least stable part.
 */
export type Stability = 'constant' | 'execution' | 'row' | 'volatile';

const STABILITIES: readonly Stability[] = ['constant', 'execution', 'row', 'volatile'];

interface TypedBase {
  readonly type: DataType;
  readonly stability: Stability;
  readonly evaluate: Evaluator;
  readonly position: Position;
}

/** A folded value of a definite type. */
export interface ConstantNode extends TypedBase {
  readonly kind: 'constant';
  readonly cell: Cell;
}

/**
 * A literal or a parameter as written: its `type` is only what it has when nothing around it asks for another one
 * (`1` is BIGINT, `1.5` DOUBLE, `'x'` and NULL TEXT). {@link coerceValue} turns it into the type it meets, exactly.
 */
export interface ValueNode extends TypedBase {
  readonly kind: 'value';
  readonly literal: LiteralKind;
  /** Fraction digits as written; 0 unless `literal` is `decimal`. */
  readonly scale: number;
  readonly negated: boolean;
  readonly source: { readonly cell: Cell } | ParameterSource;
}

/** Where the value of a parameter comes from. */
export interface ParameterSource {
  /** 0-based. */
  readonly parameter: number;
  /** Sent by the client, not lifted out of the text. */
  readonly client: boolean;
  /** Set: what is made of the parameter is made once for each set of parameters. */
  readonly preparation: Preparation | undefined;
}

/** A column of the input row. */
export interface ColumnNode extends TypedBase {
  readonly kind: 'column';
  readonly column: ColumnInfo;
  /** Its index in the table's columns. */
  readonly index: number;
}

/** A cell of a group's row: a group key or an aggregate. */
export interface SlotNode extends TypedBase {
  readonly kind: 'slot';
  readonly index: number;
  /** The column that the slot holds, when its group key is one. */
  readonly column: ColumnInfo | undefined;
}

/** An operator or a function over operands. */
export interface OperationNode extends TypedBase {
  readonly kind: 'operation';
  readonly name: string;
  readonly operands: readonly Typed[];
}

/** A bound expression: names resolved, type known, closure made. */
export type Typed = ConstantNode | ValueNode | ColumnNode | SlotNode | OperationNode;

/** The least stable of them. */
function leastStable(nodes: readonly Typed[], own: Stability): Stability {
  let index = STABILITIES.indexOf(own);
  for (const node of nodes) index = Math.max(index, STABILITIES.indexOf(node.stability));
  return STABILITIES[index] ?? 'volatile';
}

/** Makes a constant. */
export function constant(type: DataType, cell: Cell, position: Position): ConstantNode {
  return { kind: 'constant', type, cell, position, stability: 'constant', evaluate: () => cell };
}

/** What {@link operation} builds from. */
export interface OperationSpec {
  readonly name: string;
  readonly type: DataType;
  readonly operands: readonly Typed[];
  readonly position: Position;
  /** What the operation adds by itself; `constant` unless said. */
  readonly stability?: Stability;
  /** Makes the closure from the closures of the operands, in their order. */
  readonly build: (...operands: Evaluator[]) => Evaluator;
}

/**
 * Makes an operation. Constant ones are folded (unless they fail: then the error is left to the execution, which may never
 * come to it); operands that are fixed within an execution are evaluated once per execution when the operation is not.
 */
export function operation(spec: OperationSpec): Typed {
  const { name, type, operands, position } = spec;
  const stability = leastStable(operands, spec.stability ?? 'constant');
  const perRow = stability === 'row' || stability === 'volatile';
  const evaluators = operands.map((node) =>
    perRow && node.stability === 'execution' && preparationOf(node) === undefined ? oncePerExecution(node.evaluate) : node.evaluate,
  );
  const evaluate = spec.build(...evaluators);
  if (stability === 'constant') {
    const folded = tryFold(evaluate);
    if (folded !== undefined) return constant(type, folded.cell, position);
  }
  return { kind: 'operation', name, type, operands, position, stability, evaluate };
}

/** The preparation of the plan that a literal or parameter belongs to, as written or as a value of another type. */
export function preparationOf(node: Typed): Preparation | undefined {
  if (node.kind === 'operation' && node.name === 'value') return node.operands[0] && preparationOf(node.operands[0]);
  return node.kind === 'value' && 'parameter' in node.source ? node.source.preparation : undefined;
}

/** A row for evaluating what cannot look at it. */
const NOTHING: InputRow = { cells: [], seq: 0n, deleted: false };

function tryFold(evaluate: Evaluator): { readonly cell: Cell } | undefined {
  try {
    return { cell: evaluate(NOTHING, FOLDING) };
  } catch {
    return undefined;
  }
}

const FOLDING: EvalContext = parameterContext([]);

/**
 * Evaluates once for each context it meets. It keeps the last context alive, so whoever keeps plans must bound what their
 * contexts hold (StatementCompiler does not keep plans of large statements).
 */
function oncePerExecution(evaluate: Evaluator): Evaluator {
  let seen: EvalContext | undefined;
  let cell: Cell = null;
  return (row, context) => {
    if (context !== seen) {
      cell = evaluate(row, context);
      seen = context;
    }
    return cell;
  };
}

/** Whether the node or anything below it satisfies the test. */
export function someNode(node: Typed, test: (node: Typed) => boolean): boolean {
  const pending: Typed[] = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (test(next)) return true;
    if (next.kind === 'operation') for (const operand of next.operands) pending.push(operand);
  }
  return false;
}

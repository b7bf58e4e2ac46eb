import { type Cell, plainType } from '@kalamdb/protocol';
import type { Position } from '../statement/ast.ts';
import { comparison, meet } from './comparison.ts';
import type { EvalContext } from './input-row.ts';
import { disjunction } from './logic.ts';
import { representation } from './type-families.ts';
import { type Evaluator, type OperationNode, operation, preparationOf, type Typed } from './typed.ts';

/** Members up to which a list is searched one by one: it takes no longer, and a Set takes many times the memory. */
const SEARCHED_MEMBERS_MAX = 8;

/** The members of an IN list as one execution sees them, each once. */
interface Members {
  readonly cells: ReadonlySet<Cell> | readonly Cell[];
  readonly hasNull: boolean;
}

/** An IN over values that are fixed within an execution, its further operands; `candidates` gives them without NULLs, for key look-ups. */
export interface MembershipNode extends OperationNode {
  readonly name: 'in';
  candidates(context: EvalContext): Iterable<Cell>;
}

/** Whether a node is an IN over fixed values. */
export function isMembership(node: Typed): node is MembershipNode {
  return node.kind === 'operation' && node.name === 'in' && 'candidates' in node;
}

/**
 * `operand IN (items)`: TRUE if one is equal, else NULL if the operand or an item is NULL. Lists of literals and parameters
 * are looked up in a set that is made once per execution, whatever their length.
 */
export function membership(operand: Typed, items: readonly Typed[], position: Position): Typed {
  const hashed = operand.kind === 'value' || operand.kind === 'constant' ? undefined : hashable(operand, items);
  if (hashed === undefined) {
    const [first, ...others] = items.map((item) => comparison('=', operand, item, position));
    if (first === undefined || others.length === 0) return first ?? disjunction([], position);
    return disjunction([first, ...others], position);
  }
  const lookup = memberLookup(hashed.members);
  const built = operation({
    name: 'in',
    type: plainType('boolean'),
    operands: [hashed.operand],
    position,
    stability: items.some((item) => item.stability === 'execution') ? 'execution' : 'constant',
    build: (value) => (row, context) => contains(lookup(context), value(row, context)),
  });
  if (built.kind !== 'operation') return built;
  const operands = [...built.operands, ...hashed.members];
  const node: MembershipNode = { ...built, name: 'in', operands, candidates: (context) => lookup(context).cells };
  return node;
}

function contains(members: Members, cell: Cell): boolean | null {
  if (cell === null) return null;
  const { cells } = members;
  if (cells instanceof Set ? cells.has(cell) : (cells as readonly Cell[]).includes(cell)) return true;
  return members.hasNull ? null : false;
}

interface Hashable {
  readonly operand: Typed;
  readonly members: readonly Typed[];
}

/** The list in the operand's own type, if every item can be brought there and cells of that type can be members of a set. */
function hashable(operand: Typed, items: readonly Typed[]): Hashable | undefined {
  const kind = representation(operand.type);
  if (kind === 'bytes' || kind === 'vector' || !items.every((item) => item.kind === 'value')) return undefined;
  const pairs = items.map((item) => meet(operand, item, 'exact'));
  if (!pairs.every(([left]) => left === operand)) return undefined;
  return { operand, members: pairs.map(([, right]) => right) };
}

function memberLookup(nodes: readonly Typed[]): (context: EvalContext) => Members {
  const evaluators: readonly Evaluator[] = nodes.map((node) => node.evaluate);
  const preparation = nodes.map(preparationOf).find((found) => found !== undefined);
  if (preparation !== undefined) return preparation.object((context) => collect(evaluators, context));
  const fixed = nodes.every((node) => node.stability === 'constant');
  let seen: EvalContext | undefined;
  let members: Members | undefined;
  return (context) => {
    if (members === undefined || (!fixed && seen !== context)) {
      members = collect(evaluators, context);
      seen = fixed ? undefined : context;
    }
    return members;
  };
}

function collect(evaluators: readonly Evaluator[], context: EvalContext): Members {
  const cells = new Set<Cell>();
  let hasNull = false;
  for (const evaluate of evaluators) {
    const cell = evaluate({ cells: [], seq: 0n, deleted: false }, context);
    if (cell === null) hasNull = true;
    else cells.add(cell);
  }
  return { cells: cells.size > SEARCHED_MEMBERS_MAX ? cells : [...cells], hasNull };
}

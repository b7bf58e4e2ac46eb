import type { Predicate, Typed } from '../expression/typed.ts';

/** A condition as the executors apply it. A constant TRUE is no condition. */
export function toPredicate(node: Typed): Predicate | undefined {
  if (node.kind === 'constant') return node.cell === true ? undefined : () => false;
  const { evaluate } = node;
  return (row, context) => evaluate(row, context) === true;
}

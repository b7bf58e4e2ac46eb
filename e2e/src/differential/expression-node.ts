import type { Family } from './table-schema.ts';

/** A generated expression, from which smaller ones can be made. */
export interface ExpressionNode {
  readonly family: Family;
  readonly parts: readonly ExpressionNode[];
  /** The SQL text, given that of the parts. */
  readonly render: (parts: readonly string[]) => string;
}

/** The SQL text. */
export function textOf(node: ExpressionNode): string {
  return node.render(node.parts.map(textOf));
}

/** An expression without parts. */
export function leaf(family: Family, text: string): ExpressionNode {
  return { family, parts: [], render: () => text };
}

/** Smaller expressions in the place of one: its parts, and itself with a smaller part. */
export function* smaller(node: ExpressionNode): Generator<ExpressionNode> {
  yield* node.parts;
  for (const [index, part] of node.parts.entries()) {
    for (const less of smaller(part)) yield { ...node, parts: node.parts.with(index, less) };
  }
}

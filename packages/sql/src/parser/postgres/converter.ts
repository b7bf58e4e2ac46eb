import type { Node } from 'libpg-query';
import type { Expression } from '../../statement/ast.ts';
import type { SourceText } from './source-text.ts';

/** What the conversion functions of one statement share. */
export interface Converter {
  readonly source: SourceText;
  /** The alias of an UPDATE's or DELETE's table; columns qualified with it are the table's. */
  readonly alias: string | undefined;
  expression(node: Node): Expression;
}

/** Something that the grammar takes and the compiled executor does not run. */
export interface Unsupported {
  readonly what: string;
  readonly position: number;
}

/** The text of a `String` node, the way names are stored in the tree. */
export function nameText(node: Node | undefined): string {
  return node !== undefined && 'String' in node ? (node.String.sval ?? '') : '';
}

/** An expression that is only a name for what is missing. */
export function unsupportedExpression(what: string, position: number): Expression {
  return { kind: 'unsupported', what, position };
}

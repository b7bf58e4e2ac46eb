import { kalamError } from '@kalamdb/protocol';
import { atPosition } from '../expression/bind.ts';
import { unsupportedPart } from '../expression/syntax-tree.ts';
import { someNode, type Typed } from '../expression/typed.ts';
import type { SelectItem, SelectQuery } from '../statement/ast.ts';
import type { Returning, SelectPlan } from './plans.ts';
import type { BindRequest } from './scope.ts';
import { bindSelectOf, resultColumn, settled } from './select.ts';
import type { TableInfo } from './table-info.ts';

/** Binds the list behind RETURNING: what a SELECT of it from the written rows would give. Throws AGGREGATE_MISUSE and what the list throws. */
export function bindReturning(
  items: readonly SelectItem[] | undefined,
  from: { readonly table: TableInfo; readonly alias: string | undefined },
  request: BindRequest,
): Returning | undefined {
  if (items === undefined) return undefined;
  checkReturning(items, request.text);
  const select = bindSelectOf({ ...NO_CLAUSES, items }, from, request);
  if (select.grouping !== undefined) {
    throw kalamError('AGGREGATE_MISUSE', { reason: 'aggregate functions are not allowed in RETURNING' });
  }
  return returningOf(select);
}

/** RETURNING is computed from the written row alone, by the compiled executor: what it does not run is NOT_IMPLEMENTED, and what to do instead. */
export function checkReturning(items: readonly SelectItem[], text: string): void {
  for (const item of items) {
    const found = item.kind === 'expression' ? unsupportedPart(item.expression) : undefined;
    if (found === undefined) continue;
    atPosition(text, found.position, () => {
      throw kalamError('NOT_IMPLEMENTED', {
        what: `${found.what} in RETURNING (return columns, and SELECT the rest in the same transaction)`,
      });
    });
  }
}

/** RETURNING with outputs that are bound already. */
export function returningOfNodes(
  outputs: readonly { readonly name: string; readonly node: Typed }[],
  from: { readonly table: TableInfo; readonly alias: string | undefined },
  request: BindRequest,
): Returning {
  const projection = outputs.map(({ node }) => settled(node));
  const columns = projection.map((node, index) => resultColumn(node, outputs[index]?.name ?? ''));
  return returningOf({ ...bindSelectOf({ ...NO_CLAUSES, items: [] }, from, request), columns, projection, star: false });
}

function returningOf(select: SelectPlan): Returning {
  const { projection } = select;
  return {
    select,
    seqColumns: projection.flatMap((node, index) => (isSeq(node) ? [index] : [])),
    computesWithSeq: projection.some((node) => !isSeq(node) && someNode(node, isSeq)),
  };
}

const NO_CLAUSES: Omit<SelectQuery, 'items'> = {
  distinct: false,
  from: undefined,
  where: undefined,
  groupBy: [],
  having: undefined,
  orderBy: [],
  limit: undefined,
  offset: undefined,
  unsupported: undefined,
};

function isSeq(node: Typed): boolean {
  return node.kind === 'column' && node.column.system === '_seq';
}

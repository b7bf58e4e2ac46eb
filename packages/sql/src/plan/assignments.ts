import { type Cell, kalamError, type Row, sqlTypeName } from '@kalamdb/protocol';
import { atPosition, bindExpression, type Scope } from '../expression/bind.ts';
import { coerce, coercible } from '../expression/common-type.ts';
import type { ColumnInfo, EvalContext, InputRow } from '../expression/input-row.ts';
import { constant, type Evaluator, type Typed } from '../expression/typed.ts';
import type { Assignment, Expression } from '../statement/ast.ts';
import { defaultNode } from './default-value.ts';
import { columnNotFound, UPDATED_COLUMN } from './scope.ts';
import type { TableInfo } from './table-info.ts';

/** A column that statements may write. Throws COLUMN_NOT_FOUND and SYSTEM_COLUMN_WRITE. */
export function writableColumn(name: string, table: TableInfo): ColumnInfo {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column?.system !== undefined || (column === undefined && name === UPDATED_COLUMN)) {
    throw kalamError('SYSTEM_COLUMN_WRITE', { column: name });
  }
  if (column === undefined) throw columnNotFound(name, table);
  return column;
}

/** What a column holds when nothing is said. */
export function fillerNode(column: ColumnInfo): Typed {
  return column.default === undefined ? constant(column.type, null, 0) : defaultNode(column.default, column.type);
}

/** A value as it goes into a column. Throws COERCION_FAILED when its type does not fit, with the position of the value. */
export function assignedNode(expression: Expression, column: ColumnInfo, scope: Scope): Typed {
  const node = bindExpression(expression, scope);
  return atPosition(scope.text, expression.position, () => {
    if (!coercible(node, column.type, 'assignment')) throw coercionFailed(node.type, column);
    return coerce(node, column.type, 'assignment');
  });
}

/** COERCION_FAILED for a value of a type that does not fit its column. */
export function coercionFailed(type: Typed['type'], column: ColumnInfo): Error {
  return kalamError('COERCION_FAILED', {
    reason: `cannot store ${sqlTypeName(type)} in column '${column.name}' of type ${sqlTypeName(column.type)}`,
  });
}

/**
 * The place, among the columns of a table, of one that SET names; `before` are those that it has named already. Throws KEY_UPDATE, INVALID_OPERATION
 * for a column that is set twice, and what {@link writableColumn} throws.
 */
export function assignedPlace(name: string, table: TableInfo, before: readonly number[]): number {
  const column = writableColumn(name, table);
  if (column.primaryKey) throw kalamError('KEY_UPDATE', { column: name });
  const index = table.columns.indexOf(column);
  if (before.includes(index)) throw kalamError('INVALID_OPERATION', { reason: `multiple assignments to the same column '${name}'` });
  return index;
}

interface BoundAssignment {
  readonly index: number;
  readonly evaluate: Evaluator;
}

/**
 * Binds SET against `scope` and gives what makes the new cells of a row out of the old ones. Throws what {@link assignedPlace} and
 * {@link assignedNode} throw.
 */
export function bindAssignments(
  assignments: readonly Assignment[],
  table: TableInfo,
  scope: Scope,
): (before: Row, row: InputRow, context: EvalContext) => Row {
  const bound: BoundAssignment[] = [];
  for (const { column: name, value, position } of assignments) {
    const assignment = atPosition(scope.text, position, () => {
      const index = assignedPlace(
        name,
        table,
        bound.map((known) => known.index),
      );
      const column = writableColumn(name, table);
      const node = value === 'default' ? fillerNode(column) : assignedNode(value, column, scope);
      return { index, evaluate: node.evaluate };
    });
    bound.push(assignment);
  }
  return (before, row, context) => {
    const cells: Cell[] = before.slice();
    for (const { index, evaluate } of bound) cells[index] = evaluate(row, context);
    return cells;
  };
}

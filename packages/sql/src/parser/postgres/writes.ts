import type { DeleteStmt, InsertStmt, Node, ResTarget, UpdateStmt } from 'libpg-query';
import type { Expression, Statement } from '../../statement/ast.ts';
import { type Converter, type Unsupported, unsupportedExpression } from './converter.ts';
import { convertQuery, optional } from './queries.ts';
import { firstPosition, missingInTable, tableName } from './tables.ts';

/** What an INSERT, UPDATE or DELETE may carry that is not built. */
interface WriteClauses {
  readonly withClause?: unknown;
  readonly onConflictClause?: unknown;
  readonly returningClause?: unknown;
  readonly fromClause?: unknown;
  readonly usingClause?: unknown;
}

const CLAUSES: readonly (readonly [keyof WriteClauses, string])[] = [
  ['withClause', 'WITH'],
  ['fromClause', 'UPDATE … FROM'],
  ['usingClause', 'DELETE … USING'],
  ['onConflictClause', 'ON CONFLICT'],
  ['returningClause', 'RETURNING'],
];

function missingInWrite(converter: Converter, statement: WriteClauses): Unsupported | undefined {
  for (const [clause, what] of CLAUSES) {
    const content = statement[clause];
    if (content !== undefined) return { what, position: firstPosition(converter.source, content) };
  }
  return undefined;
}

/** An INSERT; what is not built is named in `unsupported`. */
export function convertInsert(converter: Converter, insert: InsertStmt): Statement {
  const { source } = converter;
  const columns = insert.cols?.flatMap((node) => ('ResTarget' in node ? [node.ResTarget] : []));
  const override = insert.override !== undefined && insert.override !== 'OVERRIDING_NOT_SET';
  return {
    kind: 'insert',
    table: tableName(source, insert.relation),
    columns: columns?.map((column) => ({ name: source.name(column.name ?? ''), position: source.position(column.location) })),
    source: insertSource(converter, insert.selectStmt),
    unsupported:
      missingInTable(source, insert.relation) ??
      missingTarget(converter, columns ?? []) ??
      (override ? { what: 'OVERRIDING', position: source.position(insert.relation?.location) } : undefined) ??
      missingInWrite(converter, insert),
  };
}

function insertSource(converter: Converter, node: Node | undefined): Extract<Statement, { kind: 'insert' }>['source'] {
  if (node === undefined || !('SelectStmt' in node)) return { kind: 'default-values' };
  const select = node.SelectStmt;
  const plain =
    select.withClause === undefined &&
    select.sortClause === undefined &&
    select.limitCount === undefined &&
    select.limitOffset === undefined;
  if (select.valuesLists === undefined || !plain) return { kind: 'select', query: convertQuery(converter, select) };
  const rows = select.valuesLists.flatMap((list) => ('List' in list ? [list.List.items ?? []] : []));
  return { kind: 'values', rows: rows.map((row) => row.map((value) => valueOrDefault(converter, value))) };
}

function valueOrDefault(converter: Converter, node: Node): Expression | 'default' {
  return 'SetToDefault' in node ? 'default' : converter.expression(node);
}

function missingTarget(converter: Converter, targets: readonly ResTarget[]): Unsupported | undefined {
  const target = targets.find((candidate) => candidate.indirection !== undefined);
  return target === undefined
    ? undefined
    : { what: 'assignments to a part of a column', position: converter.source.position(target.location) };
}

/** An UPDATE; columns qualified with the table's alias come without qualifier. */
export function convertUpdate(converter: Converter, update: UpdateStmt): Statement {
  const { source } = converter;
  const targets = (update.targetList ?? []).flatMap((node) => ('ResTarget' in node ? [node.ResTarget] : []));
  return {
    kind: 'update',
    table: tableName(source, update.relation),
    assignments: targets.map((target) => {
      const position = source.position(target.location);
      return { column: source.name(target.name ?? ''), value: assignedValue(converter, target.val, position), position };
    }),
    where: optional(converter, update.whereClause),
    unsupported: missingInTable(source, update.relation) ?? missingTarget(converter, targets) ?? missingInWrite(converter, update),
  };
}

/** `(a, b) = (1, 2)` comes as one row that every target refers to. */
function assignedValue(converter: Converter, node: Node | undefined, position: number): Expression | 'default' {
  if (node === undefined) return unsupportedExpression('an empty assignment', position);
  if (!('MultiAssignRef' in node)) return valueOrDefault(converter, node);
  const { source, colno = 1, ncolumns } = node.MultiAssignRef;
  const values = source !== undefined && 'RowExpr' in source ? (source.RowExpr.args ?? []) : [];
  const value = values.length === ncolumns ? values[colno - 1] : undefined;
  return value === undefined ? unsupportedExpression('assignments of several columns', position) : valueOrDefault(converter, value);
}

/** A DELETE; columns qualified with the table's alias come without qualifier. */
export function convertDelete(converter: Converter, statement: DeleteStmt): Statement {
  return {
    kind: 'delete',
    table: tableName(converter.source, statement.relation),
    where: optional(converter, statement.whereClause),
    unsupported: missingInTable(converter.source, statement.relation) ?? missingInWrite(converter, statement),
  };
}

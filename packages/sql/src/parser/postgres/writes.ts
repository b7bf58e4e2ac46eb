import type { DeleteStmt, InsertStmt, Node, OnConflictClause, ResTarget, ReturningClause, UpdateStmt } from 'libpg-query';
import type { Assignment, Expression, OnConflict, SelectItem, Statement } from '../../statement/ast.ts';
import { type Converter, type Unsupported, unsupportedExpression } from './converter.ts';
import { convertItem, convertQuery, optional } from './queries.ts';
import { firstPosition, missingInTable, tableAlias, tableName } from './tables.ts';

/** The clauses of INSERT, UPDATE and DELETE that only the general executor runs. */
interface WriteClauses {
  readonly withClause?: unknown;
  readonly fromClause?: unknown;
  readonly usingClause?: unknown;
  readonly returningClause?: ReturningClause;
}

const CLAUSES: readonly (readonly [keyof WriteClauses, string])[] = [
  ['withClause', 'WITH'],
  ['fromClause', 'UPDATE … FROM'],
  ['usingClause', 'DELETE … USING'],
];

function missingInWrite(converter: Converter, statement: WriteClauses): Unsupported | undefined {
  const { source } = converter;
  for (const [clause, what] of CLAUSES) {
    const content = statement[clause];
    if (content !== undefined) return { what, position: firstPosition(source, content) };
  }
  return undefined;
}

function missingInReturning({ source }: Converter, clause: ReturningClause | undefined): Unsupported | undefined {
  const options = clause?.options;
  return options === undefined ? undefined : { what: 'RETURNING WITH', position: firstPosition(source, options) };
}

/** The first part of an INSERT that neither executor runs. */
export function refusedInInsert(converter: Converter, insert: InsertStmt): Unsupported | undefined {
  const { source } = converter;
  const override = insert.override !== undefined && insert.override !== 'OVERRIDING_NOT_SET';
  return (
    missingInTable(source, insert.relation) ??
    missingTarget(converter, targetsOf(insert.cols)) ??
    (override ? { what: 'OVERRIDING', position: source.position(insert.relation?.location) } : undefined) ??
    missingInReturning(converter, insert.returningClause) ??
    (insert.onConflictClause === undefined ? undefined : missingInConflict(converter, insert.onConflictClause))
  );
}

/** The first part of an UPDATE or DELETE that neither executor runs. */
export function refusedInChange(converter: Converter, statement: UpdateStmt | DeleteStmt): Unsupported | undefined {
  const targets = 'targetList' in statement ? targetsOf(statement.targetList) : [];
  return (
    missingInTable(converter.source, statement.relation) ??
    missingTarget(converter, targets) ??
    missingInReturning(converter, statement.returningClause)
  );
}

/** An INSERT; what is not built is named in `unsupported`. */
export function convertInsert(converter: Converter, insert: InsertStmt): Statement {
  const { source } = converter;
  const columns = insert.cols === undefined ? undefined : targetsOf(insert.cols);
  const conflict = insert.onConflictClause;
  return {
    kind: 'insert',
    table: tableName(source, insert.relation),
    alias: tableAlias(source, insert.relation),
    columns: columns?.map((column) => ({ name: source.name(column.name ?? ''), position: source.position(column.location) })),
    source: insertSource(converter, insert.selectStmt),
    onConflict: conflict === undefined ? undefined : convertConflict(converter, conflict),
    returning: convertReturning(converter, insert.returningClause),
    unsupported: refusedInInsert(converter, insert) ?? missingInWrite(converter, insert),
  };
}

/** The entries of a list of columns, of SET or of RETURNING. */
export function targetsOf(nodes: readonly Node[] | undefined): readonly ResTarget[] {
  return (nodes ?? []).flatMap((node) => ('ResTarget' in node ? [node.ResTarget] : []));
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

function convertConflict(converter: Converter, clause: OnConflictClause): OnConflict {
  const { source } = converter;
  const elements = clause.infer?.indexElems?.flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
  const position = source.position(clause.location);
  return {
    target: elements?.map(({ name }) => ({ name: source.name(name ?? ''), position: source.position(clause.infer?.location) })),
    action:
      clause.action === 'ONCONFLICT_UPDATE'
        ? {
            kind: 'update',
            assignments: convertAssignments(converter, targetsOf(clause.targetList)),
            where: optional(converter, clause.whereClause),
          }
        : { kind: 'nothing' },
    position,
  };
}

/** What about an ON CONFLICT names something else than columns. */
function missingInConflict(converter: Converter, { infer, targetList, location }: OnConflictClause): Unsupported | undefined {
  const position = converter.source.position(infer?.location ?? location);
  if (infer?.conname !== undefined) return { what: 'ON CONFLICT ON CONSTRAINT', position };
  if (infer?.whereClause !== undefined) return { what: 'WHERE in the target of ON CONFLICT', position };
  const isColumn = (node: Node): boolean =>
    'IndexElem' in node &&
    node.IndexElem.name !== undefined &&
    node.IndexElem.collation === undefined &&
    node.IndexElem.opclass === undefined;
  if (infer?.indexElems?.every(isColumn) === false) return { what: 'expressions in the target of ON CONFLICT', position };
  return missingTarget(converter, targetsOf(targetList));
}

/** The list behind RETURNING. */
export function convertReturning(converter: Converter, clause: ReturningClause | undefined): readonly SelectItem[] | undefined {
  return clause === undefined ? undefined : targetsOf(clause.exprs).map((target) => convertItem(converter, target));
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
  const targets = targetsOf(update.targetList);
  return {
    kind: 'update',
    table: tableName(source, update.relation),
    alias: tableAlias(source, update.relation),
    assignments: convertAssignments(converter, targets),
    where: optional(converter, update.whereClause),
    returning: convertReturning(converter, update.returningClause),
    unsupported: refusedInChange(converter, update) ?? missingInWrite(converter, update),
  };
}

function convertAssignments(converter: Converter, targets: readonly ResTarget[]): readonly Assignment[] {
  const { source } = converter;
  return targets.map((target) => {
    const position = source.position(target.location);
    return { column: source.name(target.name ?? ''), value: assignedValue(converter, target.val, position), position };
  });
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
    alias: tableAlias(converter.source, statement.relation),
    where: optional(converter, statement.whereClause),
    returning: convertReturning(converter, statement.returningClause),
    unsupported: refusedInChange(converter, statement) ?? missingInWrite(converter, statement),
  };
}

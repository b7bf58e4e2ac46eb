import { type Cell, kalamError, plainType, type Row, sqlTypeName } from '@kalamdb/protocol';
import { atPosition, bindExpression, type Scope } from '../expression/bind.ts';
import { coerce, coercible } from '../expression/common-type.ts';
import { conversion } from '../expression/conversion.ts';
import type { ColumnInfo, EvalContext } from '../expression/input-row.ts';
import { constant, type Typed } from '../expression/typed.ts';
import type { Expression, Statement } from '../statement/ast.ts';
import { defaultNode } from './default-value.ts';
import { evaluateFixed } from './key-lookup.ts';
import type { InsertPlan, SelectPlan } from './plans.ts';
import { type BindRequest, columnNotFound, resolveTable, rowScope } from './scope.ts';
import { bindSelect } from './select.ts';
import type { TableInfo } from './table-info.ts';

/** The syntax of an INSERT. */
export type InsertStatement = Extract<Statement, { kind: 'insert' }>;

/** Binds an INSERT. */
export function bindInsert(statement: InsertStatement, request: BindRequest): InsertPlan {
  const target = bindTarget(statement, request);
  const { source } = statement;
  switch (source.kind) {
    case 'values':
      return valuesPlan(target, source.rows, request);
    case 'default-values':
      return valuesPlan({ ...target, targets: [], listed: true }, [[]], request);
    case 'select':
      return selectPlan(target, bindSelect(source.query, request));
    default:
      return source satisfies never;
  }
}

/** NOT_IMPLEMENTED for the part of a statement that is not built. */
export function notImplemented(part: { readonly what: string; readonly position: number }, request: BindRequest): Error {
  return atPosition(request.text, part.position, () => {
    throw kalamError('NOT_IMPLEMENTED', { what: part.what });
  });
}

/** What an INSERT writes. */
export interface InsertTarget {
  readonly table: TableInfo;
  /** The columns of a row, in order. */
  readonly stored: readonly ColumnInfo[];
  /** The columns that the values are for, in the order of the values. */
  readonly targets: readonly ColumnInfo[];
  /** The statement names the columns. */
  readonly listed: boolean;
}

/** Resolves the table and the columns of an INSERT. Throws what is wrong with them. */
export function bindTarget(statement: InsertStatement, request: BindRequest): InsertTarget {
  if (statement.unsupported !== undefined) throw notImplemented(statement.unsupported, request);
  const table = resolveTable(statement.table, request);
  if (table.kind === 'system') throw kalamError('SYSTEM_TABLE_WRITE', { verb: 'insert', table: `${table.namespace}.${table.name}` });
  const stored = table.columns.filter((column) => column.system === undefined);
  const targets = statement.columns === undefined ? stored : targetColumns(statement.columns, table, request);
  return { table, stored, targets, listed: statement.columns !== undefined };
}

function targetColumns(names: NonNullable<InsertStatement['columns']>, table: TableInfo, request: BindRequest): ColumnInfo[] {
  const targets: ColumnInfo[] = [];
  for (const { name, position } of names) {
    const column = atPosition(request.text, position, () => writableColumn(name, table));
    if (targets.includes(column)) {
      atPosition(request.text, position, () => {
        throw kalamError('INVALID_OPERATION', { reason: `Column '${name}' is named more than once` });
      });
    }
    targets.push(column);
  }
  return targets;
}

/** A column that statements may write. Throws COLUMN_NOT_FOUND and SYSTEM_COLUMN_WRITE. */
export function writableColumn(name: string, table: TableInfo): ColumnInfo {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw columnNotFound(name, table);
  if (column.system !== undefined) throw kalamError('SYSTEM_COLUMN_WRITE', { column: name });
  return column;
}

/** How many values a row may have: all of the named columns; without a column list fewer are completed by defaults. Throws INSERT_WIDTH. */
export function checkWidth(count: number, { targets, listed }: InsertTarget): void {
  if (count === targets.length || (!listed && count < targets.length && count > 0)) return;
  throw kalamError('INSERT_WIDTH', { expected: targets.length, count, row: 1 });
}

/** The stored columns that neither `width` values nor a default fills. */
export function missingColumns({ stored, targets }: InsertTarget, width: number): readonly ColumnInfo[] {
  const filled = new Set(targets.slice(0, width));
  return stored.filter((column) => !filled.has(column) && column.default === undefined);
}

function valuesPlan(target: InsertTarget, rows: readonly (readonly (Expression | 'default')[])[], request: BindRequest): InsertPlan {
  const { table, stored, targets } = target;
  const scope = rowScope(request, undefined, 'VALUES');
  const places = new Map(stored.map((column, place) => [column, place]));
  const fill = stored.map((column) => fillerNode(column));
  const width = rows[0]?.length ?? 0;
  checkWidth(width, target);
  const bound = rows.map((row, index) => {
    if (row.length !== width) throw kalamError('INSERT_WIDTH', { expected: width, count: row.length, row: index + 1 });
    const cells = [...fill];
    for (const [at, value] of row.entries()) {
      const column = targets[at];
      const place = column === undefined ? undefined : places.get(column);
      if (column !== undefined && place !== undefined && value !== 'default') cells[place] = assignedNode(value, column, scope);
    }
    return cells;
  });
  return {
    kind: 'insert',
    table,
    source: undefined,
    missing: missingColumns(target, width),
    rowsFor: (context) => bound.map((cells) => cells.map((node) => evaluateFixed(node, context))),
  };
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

function coercionFailed(type: Typed['type'], column: ColumnInfo): Error {
  return kalamError('COERCION_FAILED', {
    reason: `cannot store ${sqlTypeName(type)} in column '${column.name}' of type ${sqlTypeName(column.type)}`,
  });
}

function selectPlan(target: InsertTarget, source: SelectPlan): InsertPlan {
  const { table, stored, targets } = target;
  checkWidth(source.columns.length, target);
  const given = targets.slice(0, source.columns.length);
  const writers = stored.map((column) => {
    const at = given.indexOf(column);
    return at < 0 ? fillerWriter(column) : cellWriter(source.columns[at]?.type ?? plainType('text'), column, at);
  });
  return {
    kind: 'insert',
    table,
    source,
    missing: missingColumns(target, given.length),
    rowsFor: (context, selected = []) => selected.map((row) => writers.map((write) => write(row, context))),
  };
}

type CellWriter = (row: Row, context: EvalContext) => Cell;

function fillerWriter(column: ColumnInfo): CellWriter {
  const node = fillerNode(column);
  return (_row, context) => evaluateFixed(node, context);
}

function cellWriter(type: Typed['type'], column: ColumnInfo, at: number): CellWriter {
  const convert = conversion(type, column.type, 'assignment');
  if (convert === undefined) throw coercionFailed(type, column);
  return (row) => {
    const cell = row[at] ?? null;
    return cell === null ? null : convert(cell);
  };
}

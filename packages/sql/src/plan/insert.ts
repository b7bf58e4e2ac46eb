import { type Cell, type DataType, kalamError, plainType, type Row } from '@kalamdb/protocol';
import { atPosition } from '../expression/bind.ts';
import { conversion } from '../expression/conversion.ts';
import type { ColumnInfo, EvalContext } from '../expression/input-row.ts';
import type { Typed } from '../expression/typed.ts';
import type { Expression, Statement } from '../statement/ast.ts';
import { assignedNode, coercionFailed, fillerNode, writableColumn } from './assignments.ts';
import { bindConflict } from './conflict.ts';
import { evaluateFixed } from './key-lookup.ts';
import type { ConflictPlan, InsertPlan, Returning } from './plans.ts';
import { bindReturning } from './returning.ts';
import { type BindRequest, resolveTable, rowScope } from './scope.ts';
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
      return valuesPlan(target, source.rows, compiledCells(request));
    case 'default-values':
      return defaultsPlan(target);
    case 'select': {
      const select = bindSelect(source.query, request);
      const types = select.columns.map(({ type }) => type);
      return { ...selectedPlan(target, types), source: select };
    }
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
  readonly conflict: ConflictPlan | undefined;
  readonly returning: Returning | undefined;
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
  const name = `${table.namespace}.${table.name}`;
  if (table.kind === 'system') throw kalamError('SYSTEM_TABLE_WRITE', { verb: 'insert', table: name });
  if (table.kind === 'view') throw kalamError('VIEW_WRITE', { verb: 'insert', view: name });
  const stored = table.columns.filter((column) => column.system === undefined);
  const targets = statement.columns === undefined ? stored : targetColumns(statement.columns, table, request);
  const from = { table, alias: statement.alias };
  return {
    table,
    conflict: bindConflict(statement.onConflict, from, request),
    returning: bindReturning(statement.returning, from, request),
    stored,
    targets,
    listed: statement.columns !== undefined,
  };
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

/** Makes the expression of a value in VALUES, which goes into a column; `row` and `index` are 0-based. */
export type CellBinder = (value: Expression, column: ColumnInfo, at: { readonly row: number; readonly index: number }) => Typed;

/** The cells of VALUES as the compiled binder makes them. */
export function compiledCells(request: BindRequest): CellBinder {
  const scope = rowScope(request, undefined, 'VALUES');
  return (value, column) => assignedNode(value, column, scope);
}

/** The plan of DEFAULT VALUES. */
export function defaultsPlan(target: InsertTarget): InsertPlan {
  return valuesPlan({ ...target, targets: [], listed: true }, [[]], () => {
    throw kalamError('INTERNAL_ERROR', { reason: 'DEFAULT VALUES with a value' });
  });
}

/** The plan of VALUES, each cell made by `bind`. Throws INSERT_WIDTH and what `bind` throws. */
export function valuesPlan(target: InsertTarget, rows: readonly (readonly (Expression | 'default')[])[], bind: CellBinder): InsertPlan {
  const { table, conflict, returning, stored, targets } = target;
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
      if (column !== undefined && place !== undefined && value !== 'default') cells[place] = bind(value, column, { row: index, index: at });
    }
    return cells;
  });
  return {
    kind: 'insert',
    table,
    source: undefined,
    missing: missingColumns(target, width),
    conflict,
    returning,
    rowsFor: (context) => evaluated(bound, context),
    values: { count: bound.length, rows: (context, from, to) => evaluated(bound.slice(from, to), context) },
  };
}

function evaluated(rows: readonly (readonly Typed[])[], context: EvalContext): Row[] {
  return rows.map((cells) => cells.map((node) => evaluateFixed(node, context)));
}

/** The plan for the rows of a query with columns of these types. Throws INSERT_WIDTH, and COERCION_FAILED for a type that does not fit its column. */
export function selectedPlan(target: InsertTarget, types: readonly DataType[]): InsertPlan {
  const { table, conflict, returning, stored, targets } = target;
  checkWidth(types.length, target);
  const given = targets.slice(0, types.length);
  const writers = stored.map((column) => {
    const at = given.indexOf(column);
    return at < 0 ? fillerWriter(column) : cellWriter(types[at] ?? plainType('text'), column, at);
  });
  return {
    kind: 'insert',
    table,
    source: undefined,
    missing: missingColumns(target, given.length),
    conflict,
    returning,
    values: undefined,
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

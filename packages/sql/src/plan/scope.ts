import { kalamError, plainType, snowflakeMillis } from '@kalamdb/protocol';
import type { CallExpression, ColumnReference, Scope } from '../expression/bind.ts';
import { atPosition } from '../expression/bind.ts';
import type { ColumnInfo } from '../expression/input-row.ts';
import { type ColumnNode, type Evaluator, operation, type Typed } from '../expression/typed.ts';
import type { ParameterInfo } from '../expression/value.ts';
import type { QualifiedName } from '../statement/ast.ts';
import type { CatalogView, TableInfo } from './table-info.ts';

/** What a statement is bound with. */
export interface BindRequest {
  readonly text: string;
  readonly catalog: CatalogView;
  /** For names without one. */
  readonly namespace: string;
  readonly parameters: readonly ParameterInfo[];
}

/** Finds a table or throws TABLE_NOT_FOUND. */
export function resolveTable(name: QualifiedName, request: BindRequest): TableInfo {
  const namespace = name.namespace ?? request.namespace;
  const table = request.catalog.table(namespace, name.name);
  if (table !== undefined) return table;
  return atPosition(request.text, name.position, () => {
    throw kalamError('TABLE_NOT_FOUND', { table: `${namespace}.${name.name}` });
  });
}

/** The reader of a column. */
function columnNode(table: TableInfo, index: number, position: number): ColumnNode {
  const column = table.columns[index];
  if (column === undefined) throw kalamError('INTERNAL_ERROR', { reason: `table ${table.name} has no column ${index}` });
  return { kind: 'column', type: column.type, column, index, position, stability: 'row', evaluate: columnReader(column, index) };
}

/** The reader of a cell that is not where the table has it. */
export function storedColumnNode(column: ColumnInfo, index: number, position: number): ColumnNode {
  return { kind: 'column', type: column.type, column, index, position, stability: 'row', evaluate: (row) => row.cells[index] ?? null };
}

function columnReader(column: ColumnInfo, index: number): Evaluator {
  if (column.system === '_seq') return (row) => row.seq;
  if (column.system === '_deleted') return (row) => row.deleted;
  return (row) => row.cells[index] ?? null;
}

/** The error for a column that does not exist; names a near one when there is one. */
export function columnNotFound(name: string, table: TableInfo | undefined): Error {
  const near = table?.columns.find((column) => column.name === name.toLowerCase());
  return kalamError('COLUMN_NOT_FOUND', { column: name, hint: near === undefined ? '' : `; did you mean '${near.name}'?` });
}

/** The scope of expressions over the rows of one table, or of none. Aggregates are refused with `misuse`. */
export function rowScope(
  request: BindRequest,
  from: { readonly table: TableInfo; readonly alias: string | undefined } | undefined,
  misuse: string,
): Scope {
  return {
    text: request.text,
    parameters: request.parameters,
    column: (reference) => resolveColumn(reference, from),
    aggregate: (call: CallExpression): Typed => {
      throw kalamError('AGGREGATE_MISUSE', { reason: `${call.name.toUpperCase()}: aggregate functions are not allowed in ${misuse}` });
    },
  };
}

function resolveColumn(
  reference: ColumnReference,
  from: { readonly table: TableInfo; readonly alias: string | undefined } | undefined,
): Typed {
  const { name, qualifier } = reference;
  if (from === undefined || !qualifies(qualifier, from.table, from.alias)) throw columnNotFound([...qualifier, name].join('.'), undefined);
  const index = from.table.columns.findIndex((column) => column.name === name);
  if (index >= 0) return columnNode(from.table, index, reference.position);
  if (name === UPDATED_COLUMN) {
    const seq = from.table.columns.findIndex((column) => column.system === '_seq');
    if (seq >= 0 && from.table.kind !== 'stream') return updatedNode(columnNode(from.table, seq, reference.position));
  }
  // A whole row as a value is the general executor's.
  if (qualifier.length === 0 && name === (from.alias ?? from.table.name)) throw kalamError('NOT_IMPLEMENTED', { what: 'a row as a value' });
  throw columnNotFound(name, from.table);
}

/**
 * The column of the 2025-10 dialect that tells when a row was written last: readable in USER and SHARED tables, in no list of columns. It is
 * the time in the row's `_seq`.
 */
export const UPDATED_COLUMN = '_updated' as const;

function updatedNode(seq: ColumnNode): Typed {
  return operation({
    name: UPDATED_COLUMN,
    type: plainType('timestamp'),
    operands: [seq],
    position: seq.position,
    build: (evaluate) => (row, context) => {
      const cell = evaluate(row, context);
      return typeof cell === 'bigint' ? BigInt(snowflakeMillis(cell)) * 1000n : null;
    },
  });
}

/** Whether `alias.`, `table.` or `namespace.table.` before a column means this table. */
function qualifies(qualifier: readonly string[], table: TableInfo, alias: string | undefined): boolean {
  const [first, second] = qualifier;
  if (first === undefined) return true;
  if (second === undefined) return first === (alias ?? table.name);
  return qualifier.length === 2 && alias === undefined && first === table.namespace && second === table.name;
}

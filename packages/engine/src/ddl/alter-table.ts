import { kalamError } from '@kalamdb/protocol';
import { evaluateDefault, type Statement } from '@kalamdb/sql';
import { isAdmin, isSecretColumn } from '../access/grant.ts';
import { type Alteration, alteration, nextRecord, type RowCondition } from '../catalog/alter-record.ts';
import { tableRepository } from '../catalog/system-tables/schemas.ts';
import type { Table } from '../catalog/table.ts';
import type { TableRecord } from '../catalog/table-record.ts';
import type { Role, StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';
import { checkName, checkNotSystem } from './object-name.ts';

type AlterTable = Extract<Statement, { kind: 'alter-table' }>;

/** Least role that may alter a table of a kind. */
const ALTERER_ROLES: Readonly<Record<Table['kind'], Role>> = { user: 'user', stream: 'user', shared: 'service', system: 'system' };

/**
 * `ALTER TABLE t …` (sql-dialect B10). A new version of the schema, one short commit however many rows there are: rows keep the
 * form in which they were written and are read through the newer version. Writers of the table wait meanwhile, and what they
 * wrote before is in the hot tier then, so that nothing in memory has the older form but for readers that began earlier.
 */
export function alterTable(statement: AlterTable, context: DdlContext): Promise<StatementResult> {
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  checkNotSystem('alter', namespace, name);
  return context.exclusive(async () => {
    const table = context.catalog.table(namespace, name);
    const record = context.catalog.versionsOf(namespace, name).at(-1);
    requireRole(context, ALTERER_ROLES[table?.kind ?? 'user'], 'Insufficient privileges to alter table');
    if (table === undefined || record === undefined) {
      if (statement.ifExists) return messageResult(context, `Table ${namespace}.${name} does not exist (skipped)`);
      throw kalamError('TABLE_MISSING', { namespace, name });
    }
    if (table.kind === 'stream') throw kalamError('INVALID_OPERATION', { reason: 'ALTER TABLE is not supported for STREAM tables' });
    const change = planned(statement, record, context);
    const version = change.changed === undefined ? record.version : await altered({ table, record, change }, context);
    return messageResult(context, answer(statement, { record, change, version }));
  });
}

function planned({ operation }: AlterTable, record: TableRecord, context: DdlContext): Alteration {
  refuseUnmasking(operation, context);
  const change = alteration(record, operation, (value, type) => evaluateDefault(value, type, context.evaluation()));
  if (operation.kind === 'add-column') checkName('column', operation.column.name);
  if (operation.kind === 'rename-column') checkName('column', operation.to);
  return change;
}

/** Under another name the column would show what its present name hides. */
function refuseUnmasking(operation: AlterTable['operation'], { principal }: DdlContext): void {
  if (operation.kind !== 'rename-column' || !isSecretColumn(operation.column) || isAdmin(principal.role)) return;
  throw kalamError('INSUFFICIENT_PRIVILEGES', {
    reason: `Insufficient privileges to rename column '${operation.column}', which holds secrets`,
  });
}

interface Step {
  readonly table: Table;
  readonly record: TableRecord;
  readonly change: Alteration;
}

/** Makes the next version and returns its number. */
function altered({ table, record, change: { changed, condition } }: Step, context: DdlContext): Promise<number> {
  return context.latch([table.id], async () => {
    await context.settle();
    await checkRows(table, condition, context);
    return context.commit((writer) => {
      if (changed === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a table is altered to what it is' });
      const next = nextRecord(record, changed, writer.nowMicros);
      tableRepository.put(writer, { ...record, isLatest: false });
      tableRepository.put(writer, next);
      return next.version;
    });
  });
}

async function checkRows(table: Table, condition: RowCondition, context: DdlContext): Promise<void> {
  if (condition.kind === 'none') return;
  const spoils =
    condition.kind === 'empty' ? () => true : ({ cells }: { readonly cells: readonly unknown[] }) => cells[condition.index] === null;
  if (await context.someRow(table, spoils)) throw kalamError('INVALID_OPERATION', { reason: condition.refusal });
}

function answer({ operation }: AlterTable, outcome: Omit<Step, 'table'> & { readonly version: number }): string {
  const { record, change, version } = outcome;
  const table = `${record.namespace}.${record.name}`;
  if (operation.kind === 'set-vector-index') {
    const column = `${table}.${operation.column}`;
    if (operation.metric === undefined) return `Vector index disabled on ${column}`;
    return `Vector index enabled on ${column} (${METRIC_NAMES[operation.metric]})`;
  }
  if (change.changed === undefined) return `Table ${table} unchanged: ${change.what} (version ${version} - no changes needed)`;
  return `Table ${table} altered successfully: ${change.what} (version ${version})`;
}

const METRIC_NAMES = { cosine: 'Cosine', l2: 'L2', dot: 'Dot' } as const;

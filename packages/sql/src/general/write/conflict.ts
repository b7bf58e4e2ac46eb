import { kalamError, plainType } from '@kalamdb/protocol';
import type { InsertStmt, OnConflictClause } from 'libpg-query';
import { targetsOf } from '../../parser/postgres/writes.ts';
import { type ConflictSource, EXCLUDED } from '../../plan/conflict.ts';
import type { TableInfo } from '../../plan/table-info.ts';
import { quoteName } from '../duckdb-text.ts';
import { writeCondition } from '../expressions.ts';
import { writeFrom } from '../from-clause.ts';
import type { GeneralCheck } from '../general-plan.ts';
import { piece } from '../piece.ts';
import { besides, type NamedPiece, type Place, type Visible } from '../scope.ts';
import { AssignmentWriter } from './assigned-piece.ts';
import { RowSetText } from './row-set-text.ts';
import { tableEntry, type WrittenStatement, withTables } from './statement-parts.ts';
import type { GeneralConflict } from './write-plan.ts';

/**
 * Plans ON CONFLICT DO UPDATE as a query over the rows to insert, under the name EXCLUDED, joined with those that are there. Throws what the
 * assignments and the condition throw.
 */
export function planConflict(
  insert: InsertStmt,
  clause: OnConflictClause,
  { table }: ConflictSource,
  statement: WrittenStatement,
): GeneralConflict {
  const { plan, place: top } = statement.start();
  const { before, place: outer } = withTables(insert.withClause, top);
  const target = writeFrom([tableEntry(insert.relation, table)], outer);
  // Another object for the same table: a source of its own.
  const excluded = plan.source({ ...table }).name;
  const alias = quoteName(plan.fresh('t'));
  const visible = besides(target.visible, excludedRows(table, alias));
  const place: Place = { ...outer, scopes: [visible, ...outer.scopes], noAggregates: 'ON CONFLICT DO UPDATE' };
  const rows = new RowSetText(place);
  const columnOf = (find: (column: TableInfo['columns'][number]) => boolean): { readonly own: string; readonly excluded: string } => {
    const index = table.columns.findIndex(find);
    const [own, name] = [target.visible.columns[index]?.piece.text, table.columns[index]?.name];
    if (own === undefined || name === undefined) throw kalamError('INTERNAL_ERROR', { reason: `table ${table.name} has no key` });
    return { own, excluded: `${alias}.${quoteName(name)}` };
  };
  const key = columnOf(({ primaryKey }) => primaryKey);
  const proposed: GeneralCheck = { column: table.columns.find(({ primaryKey }) => primaryKey)?.name ?? '', test: 'in', cells: [] };
  for (const name of target.early) plan.check(name, proposed);
  const seq = columnOf(({ system }) => system === '_seq');
  rows.add(seq.excluded, plainType('bigint'));
  rows.add(seq.own, plainType('bigint'));
  const wanted = clause.whereClause === undefined ? undefined : writeCondition(clause.whereClause, place, 'WHERE');
  const wantedAt = rows.add(wanted ?? 'true', plainType('boolean'));
  const guard = (text: string): string => (wanted === undefined ? text : `CASE WHEN ${wanted} THEN ${text} END`);
  const assignments = new AssignmentWriter(table, place, rows, guard);
  for (const entry of targetsOf(clause.targetList)) assignments.write(entry);
  const { apply } = assignments;
  const from = `${quoteName(excluded)} AS ${alias} JOIN ${target.text} ON (${key.own} = ${key.excluded})`;
  return {
    query: rows.plan({ before, from, where: '', distinct: false }),
    excluded,
    proposed,
    apply: (row, found, context) => (found[wantedAt] === true ? apply(row, found, context) : undefined),
  };
}

function excludedRows(table: TableInfo, alias: string): Visible {
  const columns = table.columns
    .filter(({ system }) => system === undefined)
    .map((column): NamedPiece => ({ name: column.name, piece: piece(`${alias}.${quoteName(column.name)}`, column.type, column) }));
  return { relations: [{ name: EXCLUDED, namespace: undefined, columns, hidden: [] }], columns };
}

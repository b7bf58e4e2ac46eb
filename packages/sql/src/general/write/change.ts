import { kalamError, plainType } from '@kalamdb/protocol';
import type { DeleteStmt, Node, UpdateStmt } from 'libpg-query';
import { tableName } from '../../parser/postgres/tables.ts';
import { convertReturning, refusedInChange, targetsOf } from '../../parser/postgres/writes.ts';
import { refuseUnwritable, required } from '../../plan/change.ts';
import { resolveTable } from '../../plan/scope.ts';
import type { TableInfo } from '../../plan/table-info.ts';
import { noteEarlyChecks } from '../early-checks.ts';
import { writeCondition } from '../expressions.ts';
import { writeFrom } from '../from-clause.ts';
import type { StartedPlan } from '../plan-general.ts';
import { NOTHING_VISIBLE, type Place, type Relation } from '../scope.ts';
import { AssignmentWriter } from './assigned-piece.ts';
import { writeReturning } from './returning.ts';
import { RowSetText } from './row-set-text.ts';
import { refuse, tableEntry, type WrittenStatement, withTables } from './statement-parts.ts';
import type { GeneralChangePlan } from './write-plan.ts';

/** An UPDATE or a DELETE of the tree. */
export type ChangeNode =
  | { readonly verb: 'update'; readonly node: UpdateStmt; readonly others: readonly Node[] }
  | { readonly verb: 'delete'; readonly node: DeleteStmt; readonly others: readonly Node[] };

/**
 * Plans an UPDATE or DELETE whose row set is a general query: the table joined with what FROM or USING names. Throws what the compiled binder
 * throws of such statements, and what the query throws.
 */
export function planChange(change: ChangeNode, statement: WrittenStatement): GeneralChangePlan {
  const { verb, node, others } = change;
  const { request, converter } = statement;
  const started = statement.start();
  refuse(refusedInChange(converter, node), statement);
  const table = resolveTable(tableName(started.unit.source, node.relation), request);
  checkTarget(verb, table, started);
  const where = required(node.whereClause, verb === 'update' ? 'UPDATE' : 'DELETE');
  const { before, place: outer } = withTables(node.withClause, started.place);
  // The table comes last, so that what stands in FROM cannot look at it.
  const from = writeFrom([...others, tableEntry(node.relation, table)], outer);
  const own = from.visible.relations.at(-1) ?? NO_RELATION;
  const place: Place = { ...outer, scopes: [from.visible, ...outer.scopes], noAggregates: verb.toUpperCase() };
  const rows = keyedRows(table, own, place);
  const assignments = verb === 'update' ? writeAssignments(node, { table, place, rows }) : undefined;
  const returning = writeReturning(convertReturning(converter, node.returningClause), { table, own, place, rows, request });
  const within: Place = { ...place, noAggregates: 'WHERE' };
  const condition = writeCondition(where, within, 'WHERE');
  noteEarlyChecks(where, within, from.early);
  const source = { before, from: from.text, where: ` WHERE ${condition}`, distinct: others.length > 0 };
  return { kind: 'general-change', verb, table, rows: rows.plan(source), apply: assignments?.apply, returning };
}

const NO_RELATION: Relation = { name: undefined, namespace: undefined, ...NOTHING_VISIBLE, hidden: [] };

function checkTarget(verb: 'update' | 'delete', table: TableInfo, { unit }: StartedPlan): void {
  refuseUnwritable(verb, table);
  if (table.kind !== 'stream') return;
  if (verb === 'update') throw kalamError('STREAM_UPDATE');
  unit.missing('a DELETE of this kind from a stream', undefined);
}

/** A row set that begins with the key and `_seq` of the table's rows. */
function keyedRows(table: TableInfo, own: Relation, place: Place): RowSetText {
  const key = table.columns.findIndex(({ primaryKey }) => primaryKey);
  const seq = table.columns.findIndex(({ system }) => system === '_seq');
  const [keyPiece, seqPiece] = [own.columns[key]?.piece, own.columns[seq]?.piece];
  const column = table.columns[key];
  if (column === undefined || keyPiece === undefined || seqPiece === undefined) {
    throw kalamError('INTERNAL_ERROR', { reason: `table ${table.name} has no key` });
  }
  const rows = new RowSetText(place);
  rows.add(keyPiece.text, column.type);
  rows.add(seqPiece.text, plainType('bigint'));
  return rows;
}

function writeAssignments(
  { targetList }: UpdateStmt,
  { table, place, rows }: { readonly table: TableInfo; readonly place: Place; readonly rows: RowSetText },
): AssignmentWriter {
  const writer = new AssignmentWriter(table, place, rows);
  for (const target of targetsOf(targetList)) writer.write(target);
  return writer;
}

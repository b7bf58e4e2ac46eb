import { kalamError } from '@kalamdb/protocol';
import { atPosition, bindCondition, type Scope } from '../expression/bind.ts';
import type { OnConflict } from '../statement/ast.ts';
import { bindAssignments } from './assignments.ts';
import type { ConflictPlan } from './plans.ts';
import { type BindRequest, columnNotFound, rowScope, storedColumnNode } from './scope.ts';
import type { TableInfo } from './table-info.ts';
import { whereParts } from './where.ts';

/** The name by which ON CONFLICT DO UPDATE calls the row that could not be inserted. */
export const EXCLUDED = 'excluded' as const;

/** What an INSERT is into. */
export interface ConflictSource {
  readonly table: TableInfo;
  readonly alias: string | undefined;
}

/** Throws CONFLICT_TARGET, STREAM_UPDATE for DO UPDATE on a stream, INVALID_OPERATION for DO UPDATE without a target. */
export function checkConflict(clause: OnConflict, { table }: ConflictSource, request: BindRequest): void {
  atPosition(request.text, clause.position, () => checkTarget(clause, table, request));
  if (clause.action.kind === 'update' && table.kind === 'stream') throw kalamError('STREAM_UPDATE');
}

/** Binds ON CONFLICT. Only the primary key can conflict. Throws what {@link checkConflict} and the assignments throw. */
export function bindConflict(clause: OnConflict | undefined, source: ConflictSource, request: BindRequest): ConflictPlan | undefined {
  if (clause === undefined) return undefined;
  const { table } = source;
  checkConflict(clause, source, request);
  const { action } = clause;
  if (action.kind === 'nothing') return action;
  const scope = pairScope(source, request, 'ON CONFLICT DO UPDATE');
  const assign = bindAssignments(action.assignments, table, scope);
  const where = action.where === undefined ? undefined : bindCondition(action.where, scope, 'WHERE');
  const { filter, texts } = whereParts(where, undefined);
  return {
    kind: 'update',
    texts,
    apply: (row, proposed, context) => {
      const pair = { cells: [...row.cells, ...proposed], seq: row.seq, deleted: row.deleted };
      return filter === undefined || filter(pair, context) ? assign(row.cells, pair, context) : undefined;
    },
  };
}

function checkTarget({ target, action }: OnConflict, table: TableInfo, request: BindRequest): void {
  const key = table.columns.find(({ primaryKey }) => primaryKey);
  if (target === undefined) {
    if (action.kind === 'nothing') return;
    const name = key === undefined ? '' : ` (${key.name})`;
    throw kalamError('INVALID_OPERATION', { reason: `ON CONFLICT DO UPDATE must name the primary key: ON CONFLICT${name} DO UPDATE` });
  }
  for (const { name, position } of target) {
    const known = table.columns.some((column) => column.name === name);
    if (!known)
      atPosition(request.text, position, () => {
        throw columnNotFound(name, table);
      });
  }
  if (key !== undefined && target.every(({ name }) => name === key.name)) return;
  throw kalamError('CONFLICT_TARGET', { table: `${table.namespace}.${table.name}`, key: key === undefined ? 'it has none' : key.name });
}

/**
 * The scope over a row that is there and the one that could not be inserted: the cells of both in one row. A name without a qualifier
 * would mean either.
 */
function pairScope(source: ConflictSource, request: BindRequest, misuse: string): Scope {
  const own = rowScope(request, source, misuse);
  const stored = source.table.columns.filter(({ system }) => system === undefined);
  return {
    ...own,
    column: (reference) => {
      const { name, qualifier, position } = reference;
      if (qualifier.length === 1 && qualifier[0] === EXCLUDED) {
        const at = stored.findIndex((column) => column.name === name);
        const column = stored[at];
        if (column === undefined) throw columnNotFound(`${EXCLUDED}.${name}`, undefined);
        return storedColumnNode(column, stored.length + at, position);
      }
      const found = own.column(reference);
      if (qualifier.length === 0 && stored.some((column) => column.name === name)) throw kalamError('COLUMN_AMBIGUOUS', { column: name });
      return found;
    },
  };
}

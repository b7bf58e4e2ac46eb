import type { Statement } from '@kalamdb/sql';
import type { AuditTrail } from '../access/audit-trail.ts';
import type { AuditEntry } from '../catalog/system-tables/audit-log.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import type { StatementCaller } from '../session/session.ts';

/** Statements that leave a row: they make, change or drop something that has a name. Changes of users are told by `Users`. */
const AUDITED = /^(create|alter|drop)-(namespace|table|view|storage|topic)$/;

/** A statement, and on whose behalf it runs. */
interface Audited {
  readonly statement: Statement;
  readonly caller: StatementCaller;
}

/** Statements that only look at the catalog. */
const LOOKING = /^(show|describe|subscribe)-(.*)$/;

/**
 * A commit that also writes the audit row of its statement, once, in the first commit that the statement does: whatever a
 * statement changes, the row is there with it. A statement that finds nothing to do leaves none.
 */
export function auditedCommit(commit: DdlContext['commit'], audit: AuditTrail, { statement, caller }: Audited): DdlContext['commit'] {
  const entry = entryOf(statement, caller);
  if (entry === undefined) return commit;
  let written = false;
  return async (turn) => {
    let appended = false;
    const value = await commit((writer) => {
      const watched = new WatchedWriter(writer);
      const result = turn(watched);
      appended = watched.wrote && !written;
      if (appended) audit.append(writer, entry);
      return result;
    });
    written ||= appended;
    return value;
  };
}

/** A writer that knows whether anything was written. */
class WatchedWriter implements SystemWriter {
  readonly nowMicros: bigint;
  readonly latest: SystemWriter['latest'];
  readonly put: SystemWriter['put'];
  wrote = false;

  constructor(writer: SystemWriter) {
    this.nowMicros = writer.nowMicros;
    this.latest = (...place) => writer.latest(...place);
    this.put = (...write) => {
      this.wrote = true;
      return writer.put(...write);
    };
  }
}

function entryOf(statement: Statement, { principal, namespace, clientAddress }: StatementCaller): AuditEntry | undefined {
  if (statement.kind === 'kill-job') {
    return { actor: principal.userId, action: 'KILL_JOB', target: `job:${statement.jobId}`, address: clientAddress };
  }
  if (statement.kind === 'backup-database' || statement.kind === 'restore-database') {
    const action = statement.kind.toUpperCase().replace('-', '_');
    const details = statement.namespace;
    return { actor: principal.userId, action, target: `backup:${statement.place}`, details, address: clientAddress };
  }
  const [, , what = ''] = AUDITED.exec(statement.kind) ?? [];
  if (what === '') return undefined;
  const name = nameOf(statement, namespace);
  if (name === undefined) return undefined;
  const action = statement.kind.toUpperCase().replace('-', '_');
  return { actor: principal.userId, action, target: `${what}:${name}`, details: detailsOf(statement), address: clientAddress };
}

/** What an ALTER TABLE changes. */
function detailsOf(statement: Statement): string | undefined {
  if (statement.kind !== 'alter-table') return undefined;
  const { operation } = statement;
  const what = operation.kind.toUpperCase().replaceAll('-', ' ');
  if (operation.kind === 'set-access-level') {
    const { accessLevel } = operation;
    return `${what} ${accessLevel.charAt(0).toUpperCase()}${accessLevel.slice(1)}`;
  }
  return `${what} ${operation.kind === 'add-column' ? operation.column.name : operation.column}`;
}

/** Notes a statement that has run and has written nothing: it looked at the catalog, or ended what somebody else had open. */
export function noteRun(audit: AuditTrail, { statement, caller }: Audited): void {
  const { principal, namespace, clientAddress: address } = caller;
  const actor = principal.userId;
  if (statement.kind === 'kill-live-query') {
    audit.note({ actor, action: 'KILL_LIVE_QUERY', target: `live_query:${statement.liveId}`, address });
    return;
  }
  const [, action = '', what = ''] = LOOKING.exec(statement.kind) ?? [];
  if (action === '') return;
  const name = nameOf(statement, namespace);
  audit.note({ actor, action: action.toUpperCase(), target: name === undefined ? `show:${what}` : `table:${name}`, address });
}

function nameOf(statement: Statement, namespace: string): string | undefined {
  if ('table' in statement && statement.table !== undefined) {
    return `${(statement.table.namespace ?? namespace).toLowerCase()}.${statement.table.name.toLowerCase()}`;
  }
  return 'name' in statement && typeof statement.name === 'string' ? statement.name : undefined;
}

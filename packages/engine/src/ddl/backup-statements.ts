import { kalamError, plainType, type Row } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { type BackupManifest, statisticsOf } from '../backup/backup-manifest.ts';
import { type BackupParameters, backupRequest } from '../backup/job-parameters.ts';
import type { ResultColumn, StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireAdmin } from './ddl-context.ts';

type BackupStatement = Extract<Statement, { kind: `backup-${string}` | `restore-${string}` | `show-backup${string}` }>;

/** Whether a statement is about backups. */
export function isBackupStatement(statement: Statement): statement is BackupStatement {
  return /^(show-)?backup|^restore-/.test(statement.kind);
}

/** Runs the statements about backups (sql-dialect A11, B26). */
export async function runBackupStatement(statement: BackupStatement, context: DdlContext): Promise<StatementResult> {
  switch (statement.kind) {
    case 'backup-database':
      return backUp(statement, context);
    case 'backup-verify':
      return verify(statement, context);
    case 'restore-database':
      return restore(statement, context);
    case 'show-backup':
      return showBackup(statement, context);
    case 'show-backups':
      return showBackups(statement, context);
    default:
      return statement satisfies never;
  }
}

async function backUp(statement: Extract<BackupStatement, { kind: 'backup-database' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'back up databases');
  const { namespace, ifExists, place, incremental } = statement;
  if (namespace !== undefined && context.catalog.namespace(namespace) === undefined) {
    if (ifExists) return messageResult(context, `Namespace '${namespace}' does not exist`);
    throw kalamError('NAMESPACE_MISSING', { namespace });
  }
  await context.backups.check(place, namespace, false);
  const jobId = await createJob({ operation: 'backup', place, namespace, incremental }, context);
  return messageResult(context, `${subjectOf(namespace)} backup started to '${place}'. Job ID: ${jobId}`);
}

async function verify(statement: Extract<BackupStatement, { kind: 'backup-verify' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'verify backups');
  const { place, namespace } = statement;
  await context.backups.check(place, namespace, true);
  const jobId = await createJob({ operation: 'verify', place, namespace, incremental: false }, context);
  return messageResult(context, `Backup verification started for '${place}'. Job ID: ${jobId}`);
}

async function restore(statement: Extract<BackupStatement, { kind: 'restore-database' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'restore databases');
  const { namespace, ifNotExists, place } = statement;
  if (namespace !== undefined && context.catalog.namespace(namespace) !== undefined) {
    if (ifNotExists) return messageResult(context, `Namespace '${namespace}' already exists`);
    throw kalamError('NAMESPACE_EXISTS', { namespace });
  }
  await context.backups.check(place, namespace, true);
  const jobId = await createJob({ operation: 'restore', place, namespace, incremental: false }, context);
  const after = namespace === undefined ? ' Server restart required after completion.' : '';
  return messageResult(context, `${subjectOf(namespace)} restore started from '${place}'. Job ID: ${jobId}.${after}`);
}

function createJob(parameters: BackupParameters, context: DdlContext): Promise<string> {
  return context.commit((writer) => context.jobs.create(writer, backupRequest(parameters)));
}

function subjectOf(namespace: string | undefined): string {
  return namespace === undefined ? 'Database' : `Namespace '${namespace}'`;
}

const column = (name: string, type: 'text' | 'bigint' | 'timestamp', isRequired = true): ResultColumn => ({
  name,
  type: plainType(type),
  flags: isRequired ? ['nn'] : [],
});

const SHOWN_BACKUP: readonly ResultColumn[] = [
  column('backup_path', 'text'),
  column('namespace_id', 'text', false),
  column('created_at', 'timestamp'),
  column('commit_seq', 'bigint'),
  column('tables', 'bigint'),
  column('rows', 'bigint'),
  column('segments', 'bigint'),
  column('size_bytes', 'bigint'),
  column('incarnation', 'text'),
];

/** `SHOW BACKUP 'dir' [FOR DATABASE ns]`: what the backup there says of itself; nothing of it is read but that. */
async function showBackup(statement: Extract<BackupStatement, { kind: 'show-backup' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'see backups');
  const { place, namespace } = statement;
  const manifest = await context.backups.check(place, namespace, true);
  const rows = manifest === undefined ? [] : [shown(place, manifest)];
  return { kind: 'rows', columns: SHOWN_BACKUP, rows, asUser: context.principal.userId };
}

function shown(place: string, manifest: BackupManifest): Row {
  const { tables, rows, segments, segmentBytes, chunkBytes } = statisticsOf(manifest);
  const counts = [tables, rows, segments, segmentBytes + chunkBytes].map((count) => BigInt(count));
  return [place, manifest.namespace ?? null, BigInt(manifest.createdAtMillis) * 1000n, manifest.seq, ...counts, manifest.incarnation];
}

const SHOWN_JOBS: readonly ResultColumn[] = [
  column('job_id', 'text'),
  column('backup_path', 'text'),
  column('namespace_id', 'text', false),
  column('mode', 'text'),
  column('status', 'text'),
  column('created_at', 'timestamp'),
  column('finished_at', 'timestamp', false),
  column('message', 'text', false),
];

/** `SHOW BACKUPS FOR DATABASE ns`: the backups that hold it, as long as their jobs are kept. */
function showBackups({ namespace }: Extract<BackupStatement, { kind: 'show-backups' }>, context: DdlContext): StatementResult {
  requireAdmin(context, 'see backups');
  if (context.catalog.namespace(namespace) === undefined) throw kalamError('NAMESPACE_MISSING', { namespace });
  const rows = context.backups
    .jobs(namespace)
    .map(
      ({ job, parameters }): Row => [
        job.jobId,
        parameters.place,
        parameters.namespace ?? null,
        parameters.incremental ? 'incremental' : 'full',
        job.status,
        job.createdAtMicros,
        job.finishedAtMicros ?? null,
        job.message ?? null,
      ],
    );
  return { kind: 'rows', columns: SHOWN_JOBS, rows, asUser: context.principal.userId };
}

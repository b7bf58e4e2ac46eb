import { type JsonValue, kalamError } from '@kalamdb/protocol';
import type { JobRecord } from '../catalog/system-tables/jobs.ts';
import type { JobRequest } from '../jobs/job-ledger.ts';

/** What a job of type `backup` or `restore` does. */
export type BackupOperation = 'backup' | 'verify' | 'restore';

/** What such a job works on. */
export interface BackupParameters {
  readonly operation: BackupOperation;
  /** As it was written in the statement. */
  readonly place: string;
  /** Absent: the whole database. */
  readonly namespace: string | undefined;
  readonly incremental: boolean;
}

/** The job for it. One place is worked on by one job at a time. */
export function backupRequest({ operation, place, namespace, incremental }: BackupParameters): JobRequest {
  const parameters: Record<string, JsonValue> = { backup_path: place, operation };
  if (namespace !== undefined) parameters['namespace_id'] = namespace;
  if (incremental) parameters['mode'] = 'incremental';
  return { type: operation === 'restore' ? 'restore' : 'backup', parameters, key: `backup:${place}` };
}

/** The parameters of a job that {@link backupRequest} described. */
export function readParameters({ type, parameters }: Pick<JobRecord, 'type' | 'parameters'>): BackupParameters {
  const value: unknown = JSON.parse(parameters);
  if (typeof value !== 'object' || value === null || !('backup_path' in value)) {
    throw kalamError('INTERNAL_ERROR', { reason: `a ${type} of ${parameters}` });
  }
  const operation = type === 'restore' ? 'restore' : 'operation' in value && value.operation === 'verify' ? 'verify' : 'backup';
  return {
    operation,
    place: String(value.backup_path),
    namespace: 'namespace_id' in value ? String(value.namespace_id) : undefined,
    incremental: 'mode' in value && value.mode === 'incremental',
  };
}

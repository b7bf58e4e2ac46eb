import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

const slotColumn = required('slot', 'bigint', 'Place of the row, used again');

/**
 * `system.jobs` (wire-protocol 3.14). A row lies at its `slot`, which is used again when the job's row is removed or makes room
 * for a newer one: what is over-written leaves nothing behind, so the table cannot grow.
 */
export const JOBS: Table = systemTable({
  id: 5,
  name: 'jobs',
  comment: 'Background jobs',
  columns: [
    key('job_id', 'text', 'Two letters for the type, a dash, 12 hex digits'),
    required('job_type', 'text', 'flush, compact, cleanup, …'),
    required('status', 'text', 'new, queued, running, retrying, completed, failed, cancelled or skipped'),
    optional('leader_status', 'text', 'Status of the leader part'),
    optional('parameters', 'json', 'What the job works on'),
    optional('message', 'text', 'What it did'),
    optional('exception_trace', 'text', 'Why it failed'),
    optional('idempotency_key', 'text', 'At most one active job per key'),
    optional('queue', 'text', 'Queue'),
    optional('priority', 'int', 'Priority'),
    required('retry_count', 'smallint', 'Retries so far'),
    required('max_retries', 'smallint', 'Retries at most'),
    optional('memory_used', 'bigint', 'Bytes'),
    optional('cpu_used', 'bigint', 'Microseconds'),
    timeOfWriting('created_at', 'When it was created'),
    timeOfWriting('updated_at', 'When it last changed'),
    optional('started_at', 'timestamp', 'When it started'),
    optional('finished_at', 'timestamp', 'When it ended'),
    required('node_id', 'bigint', 'Node that created it'),
    optional('leader_node_id', 'bigint', 'Node that leads it'),
  ],
  hidden: [slotColumn],
  keyIndexes: [20],
});

/** `system.job_nodes` (wire-protocol 3.14). The row of a job lies at the slot of the job. */
export const JOB_NODES: Table = systemTable({
  id: 6,
  name: 'job_nodes',
  comment: 'Parts of jobs on nodes',
  columns: [
    key('job_id', 'text', 'The job'),
    key('node_id', 'bigint', 'The node'),
    required('status', 'text', 'As in system.jobs'),
    optional('error_message', 'text', 'Why it failed'),
    timeOfWriting('created_at', 'When it was created'),
    optional('started_at', 'timestamp', 'When it started'),
    optional('finished_at', 'timestamp', 'When it ended'),
    timeOfWriting('updated_at', 'When it last changed'),
  ],
  hidden: [slotColumn],
  keyIndexes: [8],
});

/** The types of jobs and what their ids begin with (catalog B12). */
export const JOB_TYPE_PREFIXES = {
  flush: 'FL',
  compact: 'CO',
  cleanup: 'CL',
  vector_index: 'VI',
  job_cleanup: 'JC',
  backup: 'BK',
  restore: 'RS',
  retention: 'RT',
  stream_eviction: 'SE',
  user_cleanup: 'UC',
  manifest_eviction: 'ME',
  topic_cleanup: 'TC',
  topic_retention: 'TR',
  user_export: 'UE',
  unknown: 'UN',
} as const;

/** What a job does. */
export type JobType = keyof typeof JOB_TYPE_PREFIXES;

/** States of a job; which follows which is in jobs/SPEC.md. */
export const JOB_STATUSES = ['new', 'queued', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'skipped'] as const;

/** State of a job. */
export type JobStatus = (typeof JOB_STATUSES)[number];

/** One job. */
export interface JobRecord {
  /** Where the row lies; no two jobs that have a row share it. */
  readonly slot: bigint;
  readonly jobId: string;
  readonly type: JobType;
  readonly status: JobStatus;
  /** JSON object text. */
  readonly parameters: string;
  readonly message: string | undefined;
  readonly trace: string | undefined;
  /** At most one job that has not ended has this key. */
  readonly key: string | undefined;
  readonly retryCount: number;
  readonly retriesMax: number;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
  /** When it first ran. */
  readonly startedAtMicros: bigint | undefined;
  readonly finishedAtMicros: bigint | undefined;
  readonly nodeId: bigint;
}

const isJobType = (text: string): text is JobType => Object.hasOwn(JOB_TYPE_PREFIXES, text);

/** Reads and writes `system.jobs`. A type that this release does not know reads as `unknown`. */
export const jobRepository: Repository<JobRecord> = new Repository<JobRecord>(JOBS, {
  toRow: (record) => [
    record.jobId,
    record.type,
    record.status,
    null,
    record.parameters,
    record.message ?? null,
    record.trace ?? null,
    record.key ?? null,
    null,
    null,
    record.retryCount,
    record.retriesMax,
    null,
    null,
    record.createdAtMicros,
    record.updatedAtMicros,
    record.startedAtMicros ?? null,
    record.finishedAtMicros ?? null,
    record.nodeId,
    record.nodeId,
    record.slot,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(JOBS.name, cells);
    const jobId = reader.text();
    const type = reader.text();
    const status = reader.oneOf(JOB_STATUSES);
    reader.skip();
    const parameters = reader.textOrNone() ?? '{}';
    const [message, trace, jobKey] = [reader.textOrNone(), reader.textOrNone(), reader.textOrNone()];
    reader.skip(2);
    const [retryCount, retriesMax] = [reader.number(), reader.number()];
    reader.skip(2);
    const [createdAtMicros, updatedAtMicros] = [reader.bigint(), reader.bigint()];
    const [startedAtMicros, finishedAtMicros] = [reader.bigintOrNone(), reader.bigintOrNone()];
    const nodeId = reader.bigint();
    reader.skip();
    return {
      slot: reader.bigint(),
      jobId,
      type: isJobType(type) ? type : 'unknown',
      status,
      parameters,
      message,
      trace,
      key: jobKey,
      retryCount,
      retriesMax,
      createdAtMicros,
      updatedAtMicros,
      startedAtMicros,
      finishedAtMicros,
      nodeId,
    };
  },
});

/** The part of a job on a node. */
export interface JobNodeRecord
  extends Pick<
    JobRecord,
    'slot' | 'jobId' | 'nodeId' | 'status' | 'createdAtMicros' | 'updatedAtMicros' | 'startedAtMicros' | 'finishedAtMicros'
  > {
  readonly errorMessage: string | undefined;
}

/** Reads and writes `system.job_nodes`. */
export const jobNodeRepository: Repository<JobNodeRecord> = new Repository<JobNodeRecord>(JOB_NODES, {
  toRow: (record) => [
    record.jobId,
    record.nodeId,
    record.status,
    record.errorMessage ?? null,
    record.createdAtMicros,
    record.startedAtMicros ?? null,
    record.finishedAtMicros ?? null,
    record.updatedAtMicros,
    record.slot,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(JOB_NODES.name, cells);
    return {
      jobId: reader.text(),
      nodeId: reader.bigint(),
      status: reader.oneOf(JOB_STATUSES),
      errorMessage: reader.textOrNone(),
      createdAtMicros: reader.bigint(),
      startedAtMicros: reader.bigintOrNone(),
      finishedAtMicros: reader.bigintOrNone(),
      updatedAtMicros: reader.bigint(),
      slot: reader.bigint(),
    };
  },
});

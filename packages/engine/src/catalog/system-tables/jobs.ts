import type { Table } from '../table.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/** `system.jobs` (wire-protocol 3.14). */
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
});

/** `system.job_nodes` (wire-protocol 3.14). */
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
});

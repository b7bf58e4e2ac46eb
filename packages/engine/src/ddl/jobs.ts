import type { Statement } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';

/** `KILL JOB 'id'` (sql-dialect B23): its state is `cancelled` at once; what runs of it stops at its next good point. */
export async function killJob(statement: Extract<Statement, { kind: 'kill-job' }>, context: DdlContext): Promise<StatementResult> {
  requireRole(context, 'dba', 'KILL JOB requires DBA or System role');
  const { jobId } = statement;
  await context.commit((writer) => context.jobs.cancel(writer, jobId));
  return messageResult(context, `Job ${jobId} killed: cancelled`);
}

import type { Session } from '@kalamdb/engine';

/** Where the rows of a table lie: all in segments, or about half of them. */
export type Placement = 'cold' | 'half';

/** How long a flush may take. */
const FLUSH_MILLIS_MAX = 30_000;
const ENDED: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled', 'skipped']);

/** Resolves when no job is waiting or running any more. Rejects when one has failed, or takes too long. */
export async function flushEnded(session: Session): Promise<void> {
  const end = performance.now() + FLUSH_MILLIS_MAX;
  for (;;) {
    const [result] = await session.execute("SELECT status, message FROM system.jobs WHERE job_type = 'flush'");
    const jobs = result?.kind === 'rows' ? result.rows : [];
    const failed = jobs.find(([status]) => status === 'failed');
    if (failed !== undefined) throw new Error(`a flush has failed: ${String(failed[1])}`);
    if (jobs.length > 0 && jobs.every(([status]) => ENDED.has(status))) return;
    if (performance.now() > end) throw new Error('a flush does not end');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { type Session, StatementError } from '@kalamdb/engine';

const ATTEMPTS_MAX = 20;
const PAUSE_MILLIS = 100;

/** Runs an INSERT, again when the hot tier does not keep up: filling a table is faster than it takes rows in. */
export async function insertPatiently(session: Session, sql: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.execute(sql);
      return;
    } catch (error) {
      const isBusy = error instanceof StatementError && error.failure.error.spec.retryable;
      if (!isBusy || attempt === ATTEMPTS_MAX) throw error;
      await sleep(PAUSE_MILLIS);
    }
  }
}

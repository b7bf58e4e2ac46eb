import { redactStatement, type StatementRecord } from '@kalamdb/engine';
import type { Logger } from 'pino';
import type { Traffic } from './traffic.ts';

/** Where statements are counted and told of. */
export interface StatementWatchSources {
  readonly traffic: Traffic;
  readonly log: Logger;
  /** Statements that take longer are logged; 0: none. */
  readonly slowMillis: number;
}

/** Counts every statement, and logs the slow ones without their values. */
export function watchStatements({ traffic, log, slowMillis }: StatementWatchSources): (record: StatementRecord) => void {
  const threshold = slowMillis === 0 ? Number.POSITIVE_INFINITY : slowMillis;
  return ({ text, principal, requestId, millis, rows, failed }) => {
    (failed ? traffic.failed : traffic.succeeded).observe(millis / 1000);
    if (millis <= threshold) return;
    traffic.slowStatements += 1;
    const outcome = failed ? { failed } : { rows };
    log.warn(
      { request: requestId, user: principal.userId, millis: Math.round(millis), ...outcome, statement: redactStatement(text) },
      'slow statement',
    );
  };
}

import type { StatementFailure } from '../contract.ts';

/** A statement of a request failed while it ran. Statements before it stay applied. */
export class StatementError extends Error {
  readonly failure: StatementFailure;

  constructor(failure: StatementFailure) {
    super(`Statement ${failure.statement} failed: ${failure.error.message}`, { cause: failure.error });
    this.name = 'StatementError';
    this.failure = failure;
  }
}

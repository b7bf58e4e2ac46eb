import type { LookedUp } from '../partition/cold-rows.ts';
import type { Steps } from '../slices/steps.ts';

/** How a commit wants to be written. */
export interface SubmitOptions {
  /** DDL: alone in its group and synced in both durability modes. */
  readonly alone?: boolean | undefined;
  /** What was looked up in the cold tier for this turn. */
  readonly cold?: LookedUp | undefined;
  /** Told the commit's name before the writer is answered; not called when nothing was written. */
  readonly committed?: ((seq: bigint) => void) | undefined;
}

/** How a large commit is prepared. */
export interface LargeOptions {
  /** Runs work in slices, as the caller's limits allow. */
  run<T>(steps: Steps<T>): T | Promise<T>;
  /** Asked in its turn; what it throws takes the commit back. */
  check?(): void;
  /** What was looked up in the cold tier for it. */
  readonly cold?: LookedUp | undefined;
  /** As in {@link SubmitOptions}. */
  readonly committed?: SubmitOptions['committed'];
}

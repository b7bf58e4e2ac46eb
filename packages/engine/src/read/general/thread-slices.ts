import type { Clock, Timers } from '@kalamdb/protocol';
import type { Steps } from '../../slices/steps.ts';

/** Milliseconds that the query thread reads at a stretch before it looks for messages and for what DuckDB has done. */
const STRETCH_MILLIS = 10;

/** Does long work of the query thread in stretches. Throws what the work throws and the signal's reason; the work has released what it held then. */
export async function inStretches<T>(
  steps: Steps<T>,
  { clock, timers, signal }: { clock: Clock; timers: Timers; signal: AbortSignal },
): Promise<T> {
  try {
    for (;;) {
      signal.throwIfAborted();
      const end = clock.elapsed() + STRETCH_MILLIS;
      do {
        const step = steps.next();
        if (step.done === true) return step.value;
      } while (clock.elapsed() < end);
      await new Promise<void>((resolve) => timers.soon(resolve));
    }
  } finally {
    steps.return(undefined as never);
  }
}

/**
 * Work that can be left between two steps and taken up again. Each step is short (well under a millisecond); `return` and
 * `throw` of the generator release what the work holds.
 */
export type Steps<T> = Generator<undefined, T>;

/** Rows between two steps: few, because a row may be a megabyte long. */
export const STEP_ROWS = 16;

/** Does all the work at once. */
export function finishSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

import type { Row } from '@kalamdb/protocol';

/**
 * Work that can be left between two steps and taken up again. Each step is short (well under a millisecond); `return` and
 * `throw` of the generator release what the work holds.
 */
export type Steps<T> = Generator<undefined, T>;

/** Rows between two steps: few, because a row may be long. */
export const STEP_ROWS = 16;
/** UTF-16 units of text that take as long as a row by itself. */
const ROW_TEXT_UNITS = 4096;

/** UTF-16 units of the texts in a row: what is done with a long row takes as long as they are. */
export function textUnits(cells: Row): number {
  let units = 0;
  for (const cell of cells) if (typeof cell === 'string') units += cell.length;
  return units;
}

/** Says where the steps of a walk over rows end: after {@link STEP_ROWS} of them, or as soon as they have come to that much text. */
export class StepMeter {
  #left = STEP_ROWS;

  /** Counts a row; whether the step has come to its end with it. */
  passed(cells: Row): boolean {
    this.#left -= 1 + textUnits(cells) / ROW_TEXT_UNITS;
    if (this.#left > 0) return false;
    this.#left = STEP_ROWS;
    return true;
  }
}

/** Does all the work at once. */
export function finishSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

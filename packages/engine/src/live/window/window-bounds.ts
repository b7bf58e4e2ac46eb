import { kalamError } from '@kalamdb/protocol';
import type { EvalContext, WindowPlan } from '@kalamdb/sql';

/** Rows that a window may have. */
export const WINDOW_ROWS_MAX = 1000;
/** Rows before it that it may leave out. */
export const WINDOW_OFFSET_MAX = 10_000;
/** Approximate heap weight of the rows that all windows hold, those included that slow clients still have. */
export const WINDOWS_BYTES_MAX: number = 64 * 1024 * 1024;

/** Which rows of its order a window shows. */
export interface WindowBounds {
  readonly offset: number;
  readonly limit: number;
}

/** Computes LIMIT and OFFSET. Throws SUBSCRIBE_UNSUPPORTED when there is no LIMIT, or one of them is too large, and INVALID_ARGUMENT. */
export function windowBounds(plan: WindowPlan, context: EvalContext): WindowBounds {
  const limit = plan.limit(context);
  const offset = plan.offset(context) ?? 0;
  if (limit === undefined) throw unsupported('a subscription with ORDER BY or OFFSET needs a LIMIT');
  if (limit > WINDOW_ROWS_MAX) throw unsupported(`LIMIT (${limit}) of a subscription cannot exceed ${WINDOW_ROWS_MAX}`);
  if (offset > WINDOW_OFFSET_MAX) throw unsupported(`OFFSET (${offset}) of a subscription cannot exceed ${WINDOW_OFFSET_MAX}`);
  return { offset, limit };
}

function unsupported(reason: string): Error {
  return kalamError('SUBSCRIBE_UNSUPPORTED', { reason });
}

/** What the rows of all windows weigh. */
export class WindowBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number = WINDOWS_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether so many bytes more would be too many. */
  lacks(bytes: number): boolean {
    return this.#bytes + bytes > this.#bytesMax;
  }

  /** Counts bytes that are held from now on; negative ones are not held any more. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }
}

import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Milliseconds between two looks at the clock. A single block is measured up to this much too short, the longest of many that
 * recur hardly at all. Looking five times as often would cost an idle process one per cent of a core.
 */
const RESOLUTION_MILLIS = 10;
const NANOS_PER_MILLI = 1e6;

/** How long the event loop was busy at a stretch, since the monitor was started. */
export interface EventLoopFigures {
  readonly longestBlockMillis: number;
  /** 99 of 100 looks at the clock were at most this late. */
  readonly blockP99Millis: number;
}

/** Measures how long the event loop of this thread is busy at a stretch. */
export class EventLoopMonitor {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });

  constructor() {
    this.#delays.enable();
  }

  get figures(): EventLoopFigures {
    const { max } = this.#delays;
    // The maximum of a histogram without samples is 0, and its percentiles begin at 1.
    return { longestBlockMillis: blockOf(max), blockP99Millis: max === 0 ? 0 : blockOf(this.#delays.percentile(99)) };
  }

  stop(): void {
    this.#delays.disable();
  }
}

/** A delay includes the time that the monitor would have waited in any case. */
function blockOf(delayNanos: number): number {
  return Math.max(0, delayNanos / NANOS_PER_MILLI - RESOLUTION_MILLIS);
}

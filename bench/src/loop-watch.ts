import { openSync, readSync } from 'node:fs';
import { PerformanceObserver, performance } from 'node:perf_hooks';

/** What one turn of the event loop after another took, without the time in which another process had the core. */
export interface LoopFigures {
  /** Milliseconds of the longest turn. */
  readonly longestMillis: number;
  /** Milliseconds of the longest turn, garbage collection left out. */
  readonly longestOwnMillis: number;
  /** Milliseconds of the longest garbage collection. */
  readonly longestCollectionMillis: number;
  /** Turns that took longer than the goal of the design, 5 ms, garbage collection left out. */
  readonly overGoal: number;
}

const GOAL_MILLIS = 5;
/** Milliseconds of a turn from which on it is kept and looked at with what the collector did. */
const KEPT_MILLIS = 1;

interface Span {
  readonly from: number;
  readonly to: number;
}

interface Turn extends Span {
  /** Milliseconds in which the thread was ready to run and did not have a core. */
  readonly waited: number;
}

/**
 * Measures every turn of the event loop, without a gap: it keeps the loop turning and looks at the clock once in each. That costs a
 * core, which a monitor of the process itself could not take.
 */
export class LoopWatch {
  readonly #turns: Turn[] = [];
  readonly #collections: Span[] = [];
  readonly #observer: PerformanceObserver;
  readonly #waitTime = new WaitTime();
  #last = 0;
  #lastWait = 0;
  #handle: NodeJS.Immediate | undefined;

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) this.#collections.push({ from: startTime, to: startTime + duration });
    });
  }

  start(): void {
    this.#observer.observe({ entryTypes: ['gc'] });
    this.#last = performance.now();
    this.#lastWait = this.#waitTime.millis();
    this.#handle = setImmediate(() => this.#turn());
  }

  stop(): LoopFigures {
    clearImmediate(this.#handle);
    this.#observer.disconnect();
    let figures: LoopFigures = { longestMillis: 0, longestOwnMillis: 0, longestCollectionMillis: 0, overGoal: 0 };
    for (const turn of this.#turns) {
      const millis = turn.to - turn.from - turn.waited;
      const own = millis - this.#collecting(turn);
      figures = {
        longestMillis: Math.max(figures.longestMillis, millis),
        longestOwnMillis: Math.max(figures.longestOwnMillis, own),
        longestCollectionMillis: figures.longestCollectionMillis,
        overGoal: figures.overGoal + (own > GOAL_MILLIS ? 1 : 0),
      };
    }
    const longestCollectionMillis = this.#collections.reduce((longest, { from, to }) => Math.max(longest, to - from), 0);
    return { ...figures, longestCollectionMillis };
  }

  /** The longest turns without the collector, longest first. */
  longest(count: number): readonly Span[] {
    const own = (turn: Turn): number => turn.to - turn.from - turn.waited - this.#collecting(turn);
    return [...this.#turns].sort((a, b) => own(b) - own(a)).slice(0, count);
  }

  #collecting(turn: Span): number {
    let millis = 0;
    for (const { from, to } of this.#collections) millis += Math.max(0, Math.min(to, turn.to) - Math.max(from, turn.from));
    return millis;
  }

  #turn(): void {
    const now = performance.now();
    const wait = this.#waitTime.millis();
    if (now - this.#last > KEPT_MILLIS) this.#turns.push({ from: this.#last, to: now, waited: wait - this.#lastWait });
    this.#last = now;
    this.#lastWait = wait;
    this.#handle = setImmediate(() => this.#turn());
  }
}

/** How long the main thread has been kept waiting for a core; Linux tells, elsewhere it is 0. */
class WaitTime {
  readonly #file: number | undefined;
  readonly #buffer = Buffer.alloc(100);

  constructor() {
    try {
      this.#file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
    } catch {
      this.#file = undefined;
    }
  }

  millis(): number {
    if (this.#file === undefined) return 0;
    const bytes = readSync(this.#file, this.#buffer, 0, this.#buffer.length, 0);
    return Number(this.#buffer.toString('latin1', 0, bytes).split(' ')[1]) / 1e6;
  }
}

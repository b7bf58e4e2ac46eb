import type { QueryGroup } from '../query-group.ts';
import { LiveWindow, type WindowParts } from './live-window.ts';
import { windowBounds } from './window-bounds.ts';

/** The windows of a database: one for each distinct query with a LIMIT on one partition. */
export class Windows {
  readonly #parts: WindowParts;
  readonly #windows = new WeakMap<QueryGroup, LiveWindow>();

  constructor(parts: WindowParts) {
    this.#parts = parts;
  }

  /** The window of a group, made if there is none; `undefined` for a query without a LIMIT. Throws what its bounds throw. */
  of(group: QueryGroup): LiveWindow | undefined {
    const plan = group.plan.window;
    if (plan === undefined) return undefined;
    let window = this.#windows.get(group);
    if (window === undefined) {
      window = new LiveWindow(group, windowBounds(plan, group.context), this.#parts);
      group.taker = window;
      this.#windows.set(group, window);
    }
    return window;
  }
}

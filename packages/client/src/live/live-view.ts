import type { RowData, WireRow } from '../rows/row-data.ts';
import type { LiveState } from './subscription.ts';

/** What a view needs of the application. */
export interface LiveViewSettings<T> {
  readonly mapRow: (row: RowData) => T;
  /** Takes the set; a promise it returns never rejects, and the next set waits for it. */
  readonly show: (rows: T[]) => Promise<void> | undefined;
  readonly failed: (error: { readonly code: string; readonly message: string }) => void;
  readonly stateChanged: ((state: LiveState) => void) | undefined;
  /** The application's code threw. */
  readonly thrown: (error: unknown) => void;
}

/** A set of rows as it stands now; `undefined` while it is not complete. */
export type RowSource = () => { readonly rows: Iterable<WireRow>; readonly wrap: (row: WireRow) => RowData } | undefined;

/**
 * One application's sight of a live query: its own rows of the set's, each made once per version, and its own pace. A callback
 * that takes its time is shown the newest set when it is done; the sets in between are skipped, so nothing piles up.
 */
export class LiveView<T> {
  readonly #settings: LiveViewSettings<T>;
  readonly #mapped = new WeakMap<WireRow, { readonly value: T }>();
  #showing: Promise<void> | undefined;
  #state: LiveState | 'closed' = 'loading';
  /** What the application knows. */
  #told: LiveState | 'closed' = 'loading';
  #due: RowSource | undefined;

  constructor(settings: LiveViewSettings<T>) {
    this.#settings = settings;
  }

  /** Shows the set now, or as soon as the application is done with an earlier one. */
  show(source: RowSource): void {
    this.#due = source;
    if (this.#showing === undefined) this.#next();
  }

  /** Resolves when the newest set has been shown. */
  async passedOn(): Promise<void> {
    while (this.#showing !== undefined) await this.#showing;
  }

  get wantsState(): boolean {
    return this.#settings.stateChanged !== undefined;
  }

  failed(error: { readonly code: string; readonly message: string }): void {
    this.#settings.failed(error);
  }

  /** Tells the application the state; that it has caught up, when the set that says so has been shown. */
  async stateChanged(state: LiveState): Promise<void> {
    this.#state = state;
    if (state === 'caught-up') await this.passedOn();
    if (this.#state !== state || this.#told === state) return;
    this.#told = state;
    this.#settings.stateChanged?.(state);
  }

  /** Shows nothing any more, and tells nothing. */
  close(): void {
    this.#due = undefined;
    this.#told = 'closed';
    this.#state = 'closed';
  }

  #next(): void {
    const set = this.#due?.();
    this.#due = undefined;
    if (set === undefined) return;
    try {
      this.#showing = this.#settings.show(Array.from(set.rows, (row) => this.#map(row, set.wrap)))?.then(() => {
        this.#showing = undefined;
        this.#next();
      });
    } catch (error) {
      this.#settings.thrown(error);
    }
  }

  #map(row: WireRow, wrap: (row: WireRow) => RowData): T {
    const known = this.#mapped.get(row) ?? { value: this.#settings.mapRow(wrap(row)) };
    this.#mapped.set(row, known);
    return known.value;
  }
}

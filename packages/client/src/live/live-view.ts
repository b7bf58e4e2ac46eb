import type { SchemaField } from '../messages/schema-field.ts';
import type { RowData, WireRow } from '../rows/row-data.ts';
import type { LiveError, LiveState } from './subscription.ts';

/** A set of rows as it stands now, in its order. */
export interface RowSet {
  readonly rows: ReadonlyMap<string, WireRow>;
  /** Whether the server keeps them in an order of its own, so that a row can move without being touched. */
  readonly window: boolean;
  readonly schema: readonly SchemaField[];
  readonly wrap: (row: WireRow) => RowData;
}

/** Gives the set; `undefined` while it is not complete. */
export type RowSource = () => RowSet | undefined;

/** Somebody who looks at the rows of a live query. */
export interface LiveViewer {
  /** Whether it wants to hear, after every load, when the rows have caught up. */
  readonly wantsState: boolean;
  /** The set has changed, or is complete for the first time. */
  show(source: RowSource): void;
  /** The row of this key is another one than before, or gone; without a key the whole set is being replaced. Told before `show`. */
  touched?(key?: string): void;
  /** How current the set is; `caught-up` is told after the set that it is true of was given to `show`. */
  stateChanged(state: LiveState): void;
  /** `ended`: nothing follows; `undefined`: it concerns one row only. */
  failed(error: LiveError, ended?: boolean): void;
  /** Resolves when what it was shown has been passed on; a viewer without it passes on at once. */
  passedOn?(): Promise<void>;
  /** Nothing follows: somebody ended it. */
  close(): void;
}

/** What a view needs of the application. */
export interface LiveViewSettings<T> {
  readonly mapRow: (row: RowData) => T;
  /** Takes the set; a promise it returns never rejects, and the next set waits for it. */
  readonly show: (rows: T[]) => Promise<void> | undefined;
  readonly failed: (error: LiveError) => void;
  readonly stateChanged: ((state: LiveState) => void) | undefined;
  /** The application's code threw. */
  readonly thrown: (error: unknown) => void;
}

/**
 * One application's sight of a live query: its own rows of the set's, each made once per version, and its own pace. A callback
 * that takes its time is shown the newest set when it is done; the sets in between are skipped, so nothing piles up.
 */
export class LiveView<T> implements LiveViewer {
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

  failed(error: LiveError): void {
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
      this.#showing = this.#settings.show(Array.from(set.rows.values(), (row) => this.#map(row, set.wrap)))?.then(() => {
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

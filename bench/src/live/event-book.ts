import { performance } from 'node:perf_hooks';
import { monotonicMicros } from './monotonic.ts';

/** How long all events may take to come. */
const ARRIVAL_MILLIS_MAX = 120_000;

/** An event as a subscriber sees it. */
export interface SeenEvent {
  readonly id: number;
  /** When it was due, by the clock of {@link monotonicMicros}. */
  readonly dueMicros: number;
  /** Its `_seq`, in decimal. */
  readonly seq: string;
}

/** Keeps account of what every subscription has got: each event once, in the order of `_seq`, and none that nobody expects. */
export class EventBook {
  /** Milliseconds from being due to being seen, of everything since the last `expect`. */
  latencies: number[] = [];
  /** By `performance.now()`. */
  expectedAt: number = Number.NaN;
  #lastSeqs: string[] = [];
  #counts = new Int32Array(0);
  #idSums = new Float64Array(0);
  #events = 0;
  #idSum = 0;
  #outstanding = 0;
  #broken: Error | undefined;
  #wake: (() => void) | undefined;

  /** The newest `_seq` that a subscription has seen. */
  lastSeq(subscription: number): string | undefined {
    return this.#lastSeqs[subscription];
  }

  /** Subscriptions begin anew: what they see may be what earlier ones have seen. */
  forget(): void {
    this.#lastSeqs = [];
  }

  /** From now on each of so many subscriptions is to get so many events, whose ids add up to `idSum`. */
  expect(subscriptions: number, { events, idSum }: { readonly events: number; readonly idSum: number }): void {
    this.#counts = new Int32Array(subscriptions);
    this.#idSums = new Float64Array(subscriptions);
    this.#events = events;
    this.#idSum = idSum;
    this.#outstanding = events === 0 ? 0 : subscriptions;
    this.latencies = [];
    this.expectedAt = performance.now();
  }

  note(subscription: number, { id, dueMicros, seq }: SeenEvent): void {
    this.latencies.push((monotonicMicros() - dueMicros) / 1000);
    const last = this.#lastSeqs[subscription] ?? '';
    const later = seq.length > last.length || (seq.length === last.length && seq > last);
    if (!later) this.fail(`event ${id} came twice or late: ${seq} after ${last}`);
    this.#lastSeqs[subscription] = seq;
    const count = (this.#counts[subscription] ?? 0) + 1;
    const sum = (this.#idSums[subscription] ?? 0) + id;
    this.#counts[subscription] = count;
    this.#idSums[subscription] = sum;
    if (count > this.#events) this.fail(`event ${id} is one too many`);
    if (count !== this.#events) return;
    if (sum !== this.#idSum) this.fail(`wrong events: their ids add up to ${sum}, not to ${this.#idSum}`);
    this.#outstanding -= 1;
    if (this.#outstanding === 0) this.#wake?.();
  }

  /** Something went wrong: every later question rejects. */
  fail(reason: string): void {
    this.#broken ??= new Error(reason);
    this.#wake?.();
  }

  /** Throws what went wrong. */
  check(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** Resolves when every subscription has what it is to get. */
  async arrived(): Promise<void> {
    if (this.#outstanding > 0 && this.#broken === undefined) {
      const patience = setTimeout(() => this.fail(`${this.#outstanding} subscriptions lack events`), ARRIVAL_MILLIS_MAX);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      clearTimeout(patience);
      this.#wake = undefined;
    }
    this.check();
  }
}

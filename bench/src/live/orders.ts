/** What the process with the subscribers is told to do, one after the other. */
export type Order =
  /** Opens sockets; the tokens take turns. */
  | { readonly kind: 'open'; readonly url: string; readonly tokens: readonly string[]; readonly sockets: number }
  /**
   * Subscribes on every socket, under `s0`, `s1`, …, and forgets what earlier ones have seen; `#` in the SQL stands for a million and
   * the number of the subscription among all. With `options`, the rows of the first batches count as events.
   */
  | { readonly kind: 'subscribe'; readonly sql: string; readonly each: number; readonly options: object | null }
  /** One subscription through the product's own client library instead; its callback is where an event has arrived. */
  | { readonly kind: 'follow'; readonly url: string; readonly user: string; readonly password: string; readonly sql: string }
  /** Ends all connections without a word. */
  | { readonly kind: 'cut' }
  /** Opens them again and subscribes from the last event that each subscription has seen. */
  | { readonly kind: 'resume' }
  /** From now on every subscription is to get so many events, whose ids add up to `idSum`. */
  | { readonly kind: 'expect'; readonly events: number; readonly idSum: number }
  /** Answers when they have come, each once and in the order of their `_seq`. */
  | { readonly kind: 'arrived' };

/** What came of an order. */
export interface Report {
  /** From the order until it was done, in milliseconds; of `arrived`, since `expect`. */
  readonly millis: number;
  /** Processor time of the generator in that time, in milliseconds. */
  readonly busyMillis: number;
  /** From the time that an event carries until it came, in milliseconds; of `arrived` only. */
  readonly latencies: readonly number[];
}

/** The answer of the process. */
export type Answer = { readonly report: Report } | { readonly error: string };

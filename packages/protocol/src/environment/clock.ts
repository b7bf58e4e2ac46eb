/** Wall time and elapsed time, passed in wherever time matters so that tests can own it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. May jump in either direction. */
  now(): number;
  /** Milliseconds from an arbitrary point, with a fraction; never goes back. */
  elapsed(): number;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
};

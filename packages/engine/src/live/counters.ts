/** What has happened since the engine was opened; plain numbers that only rise, for metrics and for tests that must have seen each road. */
export class LiveCounters {
  /** Change frames made (each may go to many subscriptions). */
  bodies = 0;
  /** Change frames delivered. */
  frames = 0;
  /** Rows that began to match by an UPDATE. */
  enters = 0;
  /** Rows that stopped matching and were sent as deletes. */
  leaves = 0;
  /** Subscriptions that began with `from`. */
  resumes = 0;
  /** Runs of catch-up that replayed commits of the tail. */
  exactCatchUps = 0;
  /** Slices of catch-up that read the index by `_seq`, because the tail did not reach back. */
  coalescedCatchUps = 0;
  /** Cursors that could not be served. */
  resyncs = 0;
}

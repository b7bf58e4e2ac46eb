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
  /** Times that the rows of a window were read. */
  windowReads = 0;
  /** Windows of slow clients that were brought up to date by what has changed. */
  windowCatchUps = 0;
  /** Windows that were sent whole again, because nothing was known any more of what their clients have. */
  windowResends = 0;
}

import type { QueryGroup } from '../query-group.ts';
import { type LiveAhead, type LiveSources, SLICE_ROWS_MAX } from '../sources.ts';
import type { RankedRows } from './ranked-rows.ts';
import type { WindowOrder } from './window-order.ts';

/** What is read, and where to. */
export interface WindowReading {
  readonly group: QueryGroup;
  readonly order: WindowOrder;
  /** Empty. */
  readonly ranked: RankedRows;
}

/** What a reading asks and tells. */
export interface WindowReadingCalls {
  /** Asked between two slices. */
  readonly cancelled: () => boolean;
  /** A slice was read, and it was not the last one. */
  readonly sliced: () => void;
  /** Everything was read. */
  readonly done: (seq: bigint) => void;
}

/**
 * Feeds the rows of a partition, hot and cold, into `ranked`, in slices with a fresh snapshot each. They are read by `_seq`, so a row that changes
 * between two slices comes again in its newer version, and at the end `ranked` is what the query answers at one commit: `done` is called in that
 * very turn with its name. Resolves to `false` when `cancelled` said so, or events of a stream were deleted meanwhile that nothing tells of any more.
 * Throws what the filter, the order and `sliced` throw.
 */
export async function readWindow(
  sources: LiveSources,
  reading: WindowReading,
  { cancelled, sliced, done }: WindowReadingCalls,
): Promise<boolean> {
  const { table } = reading.group.plan;
  const slices = new WindowSlices(sources, reading);
  const ahead = sources.ahead(table, reading.group.partition);
  try {
    for (;;) {
      const needed = ahead.read(slices.position);
      if (needed !== undefined) {
        await needed;
        if (cancelled()) return false;
      }
      const end = slices.next(ahead);
      if (end === 'lost') return false;
      if (end !== undefined) {
        done(end);
        return true;
      }
      sliced();
      await sources.turns.next();
      if (cancelled()) return false;
    }
  } finally {
    ahead.close();
  }
}

class WindowSlices {
  readonly #sources: LiveSources;
  readonly #reading: WindowReading;
  readonly #startSeq: bigint;
  #position = 0n;

  constructor(sources: LiveSources, reading: WindowReading) {
    this.#sources = sources;
    this.#reading = reading;
    this.#startSeq = sources.commits.watermark;
  }

  /** Everything at or below it was read. */
  get position(): bigint {
    return this.#position;
  }

  /** Reads on; the commit at which the rows are the answer, when there is nothing more to read. */
  next(ahead: LiveAhead): bigint | 'lost' | undefined {
    const { plan, partition } = this.#reading.group;
    let rowsLeft = this.#sources.sliceRowsMax ?? SLICE_ROWS_MAX;
    const snapshot = this.#sources.snapshot();
    try {
      const rows = snapshot.view(plan.table, partition, ahead).scanBySeq(this.#position);
      for (let step = rows.next(); ; step = rows.next()) {
        if (step.done === true) {
          if (step.value === undefined) return this.#removeDeletedEvents() ? snapshot.seq : 'lost';
          this.#position = step.value;
          return undefined;
        }
        if (rowsLeft-- === 0) return undefined;
        this.#take(step.value);
        this.#position = step.value.seq;
      }
    } finally {
      snapshot.close();
    }
  }

  #take(version: Parameters<QueryGroup['shown']>[0]): void {
    const { group, order, ranked } = this.#reading;
    const shown = group.shown(version);
    if (shown === undefined) ranked.remove(version.key);
    else ranked.put(order.placed(shown));
  }

  /** A stream's index holds no tombstones: what was deleted between two slices is known from the commits only. */
  #removeDeletedEvents(): boolean {
    const { group, ranked } = this.#reading;
    if (group.plan.table.kind !== 'stream') return true;
    const changes = this.#sources.commits.tail(this.#startSeq);
    if (changes === undefined) return false;
    const { tableId, owner } = group.partition;
    for (const { parts } of changes) {
      for (const { partition, rows } of parts) {
        if (partition.tableId !== tableId || partition.owner !== owner) continue;
        for (const { key, seq, deleted } of rows) if (deleted && (ranked.get(key)?.row.seq ?? seq) < seq) ranked.remove(key);
      }
    }
    return true;
  }
}

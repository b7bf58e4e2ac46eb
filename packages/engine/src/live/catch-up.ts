import { kalamError } from '@kalamdb/protocol';
import type { ChangeSet, PartitionChanges, RowChange } from '../contract.ts';
import type { LiveCounters } from './counters.ts';
import type { SharedBody } from './frame.ts';
import type { Cursor } from './initial-load.ts';
import type { QueryGroup } from './query-group.ts';
import { type LiveAhead, type LiveSources, SLICE_ROWS_MAX } from './sources.ts';

/** Commits that are taken out of the tail at a time. */
const TAKEN_COMMITS_MAX = 256;

/** A subscription as catch-up moves it. */
export interface Straggler {
  readonly group: QueryGroup;
  /** Where it stands; `undefined` as soon as it must not be moved any more (paused, replaced, ended). */
  readonly cursor: Cursor | undefined;
  /** Moves the cursor and then delivers what made it move; `more`: rows of the same commit follow. */
  advance(cursor: Cursor, body: SharedBody | undefined, more: boolean): void;
  /** It has everything: from here on its group serves it. Called in the turn that read the end of the tail. */
  join(): void;
}

/** What catch-up works with. */
export interface CatchUpParts {
  readonly sources: LiveSources;
  readonly counters: LiveCounters;
}

/**
 * Brings a subscription to the newest commit and joins it to its group: exactly, by replaying the tail, when its cursor is
 * complete and the tail reaches back to it; otherwise from the index by `_seq`, coalesced, and then again from the start.
 * Works in slices; each slice is one synchronous turn that begins by asking where the straggler stands. Throws
 * RESYNC_REQUIRED, CONVERSION_ERROR, and what the filter throws.
 */
export async function catchUp(straggler: Straggler, parts: CatchUpParts): Promise<void> {
  const index = new IndexReader(straggler, parts);
  try {
    await catchUpWith(straggler, parts, index);
  } finally {
    index.close();
  }
}

async function catchUpWith(straggler: Straggler, parts: CatchUpParts, index: IndexReader): Promise<void> {
  for (let cursor = straggler.cursor; cursor !== undefined; cursor = straggler.cursor) {
    // The tail holds rows as they were decoded: what is older than the version of the table can only be read from the index.
    const isExact = cursor.kind === 'complete' && cursor.seq >= straggler.group.sinceSeq;
    const changes = isExact ? parts.sources.commits.tail(cursor.seq, TAKEN_COMMITS_MAX) : undefined;
    if (changes?.length === 0) {
      straggler.join();
      return;
    }
    if (changes !== undefined) await replay(straggler, changes, parts);
    else await index.goOn(cursor);
  }
}

/** Replays commits one after another, until the straggler is stopped or its table altered. */
async function replay(straggler: Straggler, changes: readonly ChangeSet[], { sources, counters }: CatchUpParts): Promise<void> {
  counters.exactCatchUps += 1;
  const stepsMax = sources.sliceRowsMax ?? SLICE_ROWS_MAX;
  let stepsLeft = stepsMax;
  const { group } = straggler;
  for (const change of changes) {
    const rows = rowsFor(straggler, change);
    const last = rows.at(-1);
    for (const row of rows) {
      const { cursor } = straggler;
      if (cursor === undefined) return;
      if (row.seq <= cursor.seq) continue;
      straggler.advance({ kind: 'complete', seq: row.seq }, straggler.group.bodyOf(row), row !== last);
      if (--stepsLeft > 0) continue;
      await sources.turns.next();
      if (straggler.group !== group) return;
      stepsLeft = stepsMax;
    }
    if (straggler.cursor === undefined) return;
    straggler.advance({ kind: 'complete', seq: change.seq }, undefined, false);
    if (--stepsLeft > 0) continue;
    await sources.turns.next();
    if (straggler.cursor === undefined || straggler.group !== group) return;
    stepsLeft = stepsMax;
  }
}

function rowsFor(straggler: Straggler, { parts }: ChangeSet): readonly RowChange[] {
  return parts.find(({ partition }) => samePartition(straggler.group, partition))?.rows ?? [];
}

/** Reads the index of a straggler's partition, of that in segments too. */
class IndexReader {
  readonly #straggler: Straggler;
  readonly #parts: CatchUpParts;
  #ahead: { readonly of: LiveAhead; readonly group: QueryGroup } | undefined;

  constructor(straggler: Straggler, parts: CatchUpParts) {
    this.#straggler = straggler;
    this.#parts = parts;
  }

  close(): void {
    this.#ahead?.of.close();
  }

  /** Reads a slice from the cursor, or ahead what a slice needs: then the straggler may stand elsewhere. */
  async goOn(cursor: Cursor): Promise<void> {
    const reading = this.#aheadOf(this.#straggler.group).read(cursor.seq);
    if (reading !== undefined) await reading;
    else if (!this.#scanSlice(cursor)) await this.#parts.sources.turns.next();
  }

  /** Reads the index on from the cursor; `false` when there is more to read. */
  #scanSlice(cursor: Cursor): boolean {
    const { sources, counters } = this.#parts;
    const straggler = this.#straggler;
    const { group } = straggler;
    const { table } = group.plan;
    if (cursor.seq < sources.horizon(table, group.partition)) {
      counters.resyncs += 1;
      throw kalamError('RESYNC_REQUIRED', { reason: `changes after ${cursor.seq} have expired` });
    }
    counters.coalescedCatchUps += 1;
    let rowsLeft = sources.sliceRowsMax ?? SLICE_ROWS_MAX;
    const snapshot = sources.snapshot();
    try {
      const rows = snapshot.view(table, group.partition, this.#aheadOf(group)).scanBySeq(cursor.seq);
      for (let step = rows.next(); ; step = rows.next()) {
        if (step.done === true) {
          const isEnd = step.value === undefined;
          straggler.advance({ kind: isEnd ? 'complete' : 'scanned', seq: step.value ?? snapshot.seq }, undefined, false);
          return isEnd;
        }
        const row = step.value;
        if (rowsLeft-- === 0) return false;
        straggler.advance({ kind: 'scanned', seq: row.seq }, group.coalescedBodyOf(row, cursor.seq), true);
        if (straggler.cursor === undefined) return true;
      }
    } finally {
      snapshot.close();
    }
  }

  /** An altered table has another group. */
  #aheadOf(group: QueryGroup): LiveAhead {
    if (this.#ahead?.group === group) return this.#ahead.of;
    this.#ahead?.of.close();
    const of = this.#parts.sources.ahead(group.plan.table, group.partition);
    this.#ahead = { of, group };
    return of;
  }
}

function samePartition({ partition }: QueryGroup, other: PartitionChanges['partition']): boolean {
  return other.tableId === partition.tableId && other.owner === partition.owner;
}

import type { SnowflakeRun } from '@kalamdb/protocol';
import {
  type Commit,
  type CommitPart,
  type CommitRow,
  encodeCommitSteps,
  type LogEntry,
  type RowKey,
  renumberCommitSteps,
} from '@kalamdb/storage';
import type { ChangeSet, RowChange } from '../contract.ts';
import type { Overlay } from '../partition/overlay.ts';
import { mergeKeys, sortKeys } from '../partition/sorted-keys.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import { commitRow, type Draft, type DraftedCommit } from './draft.ts';

/** Rows above which a commit is prepared in slices, its partitions latched. */
export const LARGE_COMMIT_ROWS = 1000;
/** UTF-16 units of text in its rows above which the same is done. */
export const LARGE_COMMIT_TEXT_UNITS: number = 512 * 1024;

/** The first `_seq` of rows that have not been given theirs: above every watermark, so that nobody sees them. */
const PROVISIONAL_SEQ: bigint = 1n << 63n;

/** Whether a row has not been given its `_seq`. */
export function isProvisionalSeq(seq: bigint): boolean {
  return seq >= PROVISIONAL_SEQ;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Numbers the rows of a commit that is being prepared. */
export class ProvisionalSequence {
  #next = PROVISIONAL_SEQ;

  next(): bigint {
    return this.#next++;
  }
}

/** How many rows a commit writes. */
export function rowCount({ parts }: ChangeSet): number {
  return parts.reduce((count, { rows }) => count + rows.length, 0);
}

/**
 * A commit of many rows on its way into the order. All the work that is not the order itself is done before its turn, with
 * provisional `_seq`s that no reader sees: it enters the overlay and is encoded. Its turn takes a run of `_seq`s; then they are
 * written over the provisional ones, before the group that it stands in is written. Its owner holds the latches of its
 * partitions all the time, so that nobody else can see or change what is half done. Each key may be written once; either streams
 * are written or other tables.
 */
export class LargeCommit {
  readonly drafted: DraftedCommit;
  readonly rows: number;
  readonly #overlay: Overlay;
  #payload: Uint8Array = new Uint8Array(0);
  /** Per part, the keys of its partition with its own. */
  readonly #sortedKeys: (readonly RowKey[])[] = [];
  /** Its rows have their `_seq`s. */
  numbered = false;
  /** Settles when they have. */
  ready: Promise<void> | undefined;

  constructor(drafted: DraftedCommit, overlay: Overlay) {
    this.drafted = drafted;
    this.#overlay = overlay;
    this.rows = rowCount(drafted.change);
  }

  get change(): ChangeSet {
    return this.drafted.change;
  }

  /** Does everything that can be done without a place in the order. */
  *prepare(): Steps<void> {
    for (const { partition, rows } of this.change.parts) {
      const keys: RowKey[] = [];
      // As it holds rows of this commit from the first step on, it stays the partition's overlay.
      const overlay = this.#overlay.partitionFor(partition);
      for (const [index, row] of rows.entries()) {
        if (overlay.addApart(row)) keys.push(row.key);
        if (index % STEP_ROWS === STEP_ROWS - 1) yield;
      }
      // Nobody scans the events of a stream here.
      if (this.drafted.streams.length > 0) continue;
      const own = yield* sortKeys(keys);
      this.#sortedKeys.push(yield* mergeKeys(overlay.sortedKeys(), own));
    }
    if (this.drafted.durable.length > 0) this.#payload = yield* encodeCommitSteps(yield* this.#commit());
  }

  *#commit(): Steps<Commit> {
    const parts: CommitPart[] = [];
    for (const { partition, rows } of this.drafted.durable) {
      const written: CommitRow[] = [];
      for (const row of rows) if (written.push(commitRow(row)) % STEP_ROWS === 0) yield;
      parts.push({ partition, rows: written });
    }
    return { seq: this.change.seq, parts };
  }

  /** Gives the rows the `_seq`s that its turn took. */
  *number(run: SnowflakeRun): Steps<void> {
    const change: Mutable<ChangeSet> = this.change;
    const rows: RowChange[] = [];
    for (const part of change.parts) {
      for (const row of part.rows) {
        renumber(row, run);
        rows.push(row);
        if (rows.length % STEP_ROWS === 0) yield;
      }
    }
    change.seq = run.at(this.rows - 1);
    let index = 0;
    if (this.#payload.length > 0) yield* renumberCommitSteps(this.#payload, change.seq, () => rows[index++]?.seq ?? 0n);
    this.numbered = true;
  }

  /** Its record. */
  get entry(): LogEntry {
    return { seq: this.change.seq, payload: this.#payload };
  }

  /** The watermark passes it: scans find its keys from now on. */
  publish(): void {
    for (const [index, { partition }] of this.change.parts.entries()) {
      this.#overlay.partitionFor(partition).setSortedKeys(this.#sortedKeys[index] ?? []);
    }
  }

  /** Takes it out of the overlay, as far as it is there. */
  leave(): Steps<void> {
    return this.#overlay.removeInSteps(this.change);
  }
}

function renumber(row: Mutable<RowChange>, run: SnowflakeRun): void {
  const provisional = row.seq;
  row.seq = run.at(Number(provisional - PROVISIONAL_SEQ));
  if (row.createdSeq === provisional) row.createdSeq = row.seq;
}

/** The steps of a draft, which reads through another snapshot in each: what it reads about does not change, but it must not keep one. */
export function* releasing<T>(draft: Draft, steps: Steps<T>): Steps<T> {
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      draft.release();
      yield;
    }
  } finally {
    steps.return(undefined as never);
  }
}

import { emptyManifest, encodeSegment, type Manifest, type RowKey, type Segment } from '@kalamdb/storage';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { FlushedSegment } from './cold-messages.ts';
import { MaskedRows } from './masked-rows.ts';
import { OvertakenRows } from './overtaken-rows.ts';

/**
 * The manifest that a flush is going to publish: the new segment, masks for what its rows have taken the place of, and masks for rows of
 * its own whose keys have newer versions by then.
 */
export class NextManifest {
  readonly #base: Manifest;
  readonly #flushed: FlushedSegment;
  readonly #overtaken: OvertakenRows;
  /** The segments of before, with what the flushed rows mask in them. */
  #older: readonly Segment[] = [];

  constructor(base: Manifest | undefined, flushed: FlushedSegment) {
    this.#base = base ?? emptyManifest;
    this.#flushed = flushed;
    this.#overtaken = new OvertakenRows(flushed);
  }

  /** Does all that does not depend on the turn of the publication, in short steps; to be called once. */
  *prepare(): Steps<void> {
    const { masks, maskedTombstones } = this.#flushed;
    const masked = new MaskedRows();
    for (let index = 0; index < maskedTombstones.length; index++) {
      masked.add({ segment: masks[2 * index] ?? 0, row: masks[2 * index + 1] ?? 0, deleted: maskedTombstones[index] === 1 });
      if (index % STEP_ROWS === STEP_ROWS - 1) yield;
    }
    const older: Segment[] = [];
    for (const segment of this.#base.segments) {
      const now = masked.in(segment);
      encodeSegment(now);
      older.push(now);
      yield;
    }
    this.#older = older;
  }

  /** Rows of the new segment that are masked so far. */
  get maskedRows(): number {
    return this.#overtaken.rows;
  }

  /** A key has got a newer version. */
  mask(key: RowKey): void {
    this.#overtaken.add(key);
  }

  /** The manifest as it is now known. */
  manifest(): Manifest {
    const { segment } = this.#flushed;
    const { version, expiredSeq } = this.#base;
    return {
      version: version + 1,
      flushedSeq: segment.maxSeq,
      expiredSeq,
      nextNumber: segment.number + 1,
      segments: [...this.#older, this.#overtaken.segment()],
    };
  }
}

import type { ColdMask, Manifest, Segment } from '@kalamdb/storage';

/** Counts the rows of a partition with segments from what its manifest says; the hot rows are told one by one. */
export class RowCounts {
  readonly #segments: ReadonlyMap<number, Segment>;
  #rows = 0;

  constructor({ segments }: Manifest) {
    this.#segments = new Map(segments.map((segment) => [segment.number, segment]));
    for (const { rows, tombstones, masked, maskedTombstones } of segments)
      this.#rows += rows - tombstones - (masked.size - maskedTombstones);
  }

  /** Rows that are not deleted. */
  get rows(): number {
    return this.#rows;
  }

  /** A row of the hot tier: the cold one that it has taken the place of does not count any more. */
  add({ deleted, masks }: { readonly deleted: boolean; readonly masks?: ColdMask | undefined }): void {
    if (!deleted) this.#rows += 1;
    if (masks === undefined || masks.deleted) return;
    if (this.#segments.get(masks.segment)?.masked.has(masks.row) === false) this.#rows -= 1;
  }
}

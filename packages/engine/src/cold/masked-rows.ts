import { type ColdMask, type Segment, withRows } from '@kalamdb/storage';

/** Rows of segments that are to be masked, and whether each is a tombstone. */
export class MaskedRows {
  readonly #segments = new Map<number, Map<number, boolean>>();

  add({ segment, row, deleted }: ColdMask): void {
    const rows = this.#segments.get(segment);
    if (rows === undefined) this.#segments.set(segment, new Map([[row, deleted]]));
    else rows.set(row, deleted);
  }

  /** The segment with its rows masked; those of segments that are not there any more say nothing. */
  in(segment: Segment): Segment {
    const added = [...(this.#segments.get(segment.number) ?? [])].filter(([row]) => !segment.masked.has(row));
    if (added.length === 0) return segment;
    const masked = withRows(
      segment.masked,
      added.map(([row]) => row),
    );
    return { ...segment, masked, maskedTombstones: segment.maskedTombstones + added.filter(([, deleted]) => deleted).length };
  }
}

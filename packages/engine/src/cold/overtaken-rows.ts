import { PackedKeys, type RowKey, rowPositions, type Segment } from '@kalamdb/storage';
import type { NewSegment } from './cold-messages.ts';

/** Which rows of a new segment have newer versions by the time it is published: they are masked from the start. */
export class OvertakenRows {
  readonly #written: NewSegment;
  readonly #keys: PackedKeys;
  /** And whether each is a tombstone. */
  readonly #masked = new Map<number, boolean>();

  constructor(written: NewSegment) {
    this.#written = written;
    this.#keys = new PackedKeys(written.keys);
  }

  /** How many there are so far. */
  get rows(): number {
    return this.#masked.size;
  }

  /** A key has got a newer version. */
  add(key: RowKey): void {
    const row = this.#keys.rowOf(key);
    if (row === undefined) return;
    this.#masked.set(row, ((this.#written.tombstones[row >>> 3] ?? 0) & (1 << (row & 7))) !== 0);
  }

  /** The segment as a manifest names it. */
  segment(): Segment {
    let maskedTombstones = 0;
    for (const deleted of this.#masked.values()) if (deleted) maskedTombstones += 1;
    return { ...this.#written.segment, masked: rowPositions(this.#masked.keys()), maskedTombstones };
  }
}

import type { Manifest, RowKey, Segment } from '@kalamdb/storage';
import type { MergedSegments } from './cold-messages.ts';
import { OvertakenRows } from './overtaken-rows.ts';

/** What a compaction has made of some neighbours of a manifest. */
export interface Compacted extends MergedSegments {
  /** The segments that were merged, in their order. */
  readonly inputs: readonly Segment[];
}

/** The manifest that a compaction is going to publish: one segment, or none, in the place of several. */
export class CompactedManifest {
  readonly #base: Manifest;
  readonly #compacted: Compacted;
  readonly #overtaken: OvertakenRows | undefined;

  constructor(base: Manifest, compacted: Compacted) {
    this.#base = base;
    this.#compacted = compacted;
    this.#overtaken = compacted.merged === undefined ? undefined : new OvertakenRows(compacted.merged);
  }

  /** Rows of the new segment that are masked so far. */
  get maskedRows(): number {
    return this.#overtaken?.rows ?? 0;
  }

  /** A key has got a newer version. */
  mask(key: RowKey): void {
    this.#overtaken?.add(key);
  }

  /** The manifest as it is now known. */
  manifest(): Manifest {
    const { version, flushedSeq, expiredSeq: before, nextNumber, segments } = this.#base;
    const { inputs, merged, expiredSeq } = this.#compacted;
    const replaced = new Set(inputs.map(({ number }) => number));
    const output = this.#overtaken === undefined ? [] : [this.#overtaken.segment()];
    return {
      version: version + 1,
      flushedSeq,
      expiredSeq: expiredSeq > before ? expiredSeq : before,
      nextNumber: merged === undefined ? nextNumber : merged.segment.number + 1,
      segments: segments.flatMap((segment) => {
        if (segment.number === inputs[0]?.number) return output;
        return replaced.has(segment.number) ? [] : [segment];
      }),
    };
  }
}

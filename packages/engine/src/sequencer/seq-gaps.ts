import { encodeKeyCells, plainType, rowCodec } from '@kalamdb/protocol';
import type { HotSnapshot, PartitionId, RowKey } from '@kalamdb/storage';
import type { RowLayout } from '../partition/row-layout.ts';
import type { Draft } from './draft.ts';

/** Table id of the rows that this module keeps; the catalog does not list it. */
export const SEQ_GAPS_TABLE_ID = 998;

/** Gaps that are kept one by one; older ones are kept as one that reaches over them all. */
export const SEQ_GAPS_MAX = 1000;

const PARTITION: PartitionId = { tableId: SEQ_GAPS_TABLE_ID, owner: '' };

const layout: RowLayout = {
  id: SEQ_GAPS_TABLE_ID,
  kind: 'system',
  options: { ttlSeconds: undefined, maxBuffer: undefined },
  sinceSeq: 0n,
  codec: rowCodec(1, [
    { id: 1, type: plainType('int') },
    { id: 2, type: plainType('bigint') },
    { id: 3, type: plainType('bigint') },
  ]),
  keyOf: ([slot]) => encodeKeyCells([Number(slot)], [plainType('int')]) as RowKey,
};

/** The slot of the gap that older ones were folded into; the others have 1 to {@link SEQ_GAPS_MAX}. */
const FOLDED_SLOT = 0;

/** `_seq`s strictly between the two were given out, if at all, to commits that are lost. */
interface SeqGap {
  readonly slot: number;
  readonly end: bigint;
  readonly begin: bigint;
}

/**
 * What openings found missing. A power cut in `relaxed` mode takes acknowledged commits from the end of the log, and a client
 * may hold their `_seq` as its cursor; once newer commits pass it, it looks like one of ours. So each opening writes down, before
 * anything else and synced, where the log ended; the `_seq` of that row is where the order goes on.
 */
export class SeqGaps {
  /** Oldest first. */
  #gaps: SeqGap[];

  private constructor(gaps: readonly SeqGap[]) {
    this.#gaps = [...gaps].sort((a, b) => (a.begin < b.begin ? -1 : 1));
  }

  /** Reads what earlier openings wrote. */
  static load(snapshot: HotSnapshot): SeqGaps {
    const gaps: SeqGap[] = [];
    for (const { bytes, seq } of snapshot.scan(PARTITION)) {
      const [slot, end, begin] = layout.codec.decode(bytes);
      if (typeof end === 'bigint') gaps.push({ slot: Number(slot), end, begin: typeof begin === 'bigint' ? begin : seq });
    }
    return new SeqGaps(gaps);
  }

  /** Adds to a turn that what was found ends at `end` and that the order goes on with this very row; to be told of {@link added}. */
  add(draft: Draft, end: bigint): SeqGap {
    const [oldest, next] = this.#gaps;
    const kept = this.#gaps.filter(({ slot }) => slot !== FOLDED_SLOT);
    let slot = kept.length + 1;
    const replaced = kept[0];
    if (slot > SEQ_GAPS_MAX && oldest !== undefined && next !== undefined && replaced !== undefined) {
      slot = replaced.slot;
      draft.put(layout, PARTITION, { cells: [FOLDED_SLOT, oldest.end, replaced.begin] });
    }
    const { seq } = draft.put(layout, PARTITION, { cells: [slot, end, null] });
    return { slot, end, begin: seq };
  }

  /** Learns that a gap is durable. */
  added(gap: SeqGap): void {
    const replaced = this.#gaps.find(({ slot }) => slot === gap.slot);
    const [oldest] = this.#gaps;
    if (replaced !== undefined && oldest !== undefined) {
      const folded = { slot: FOLDED_SLOT, end: oldest.end, begin: replaced.begin };
      this.#gaps = [folded, ...this.#gaps.filter(({ slot }) => slot !== FOLDED_SLOT && slot !== gap.slot)];
    }
    this.#gaps.push(gap);
  }

  /** Whether a client that stands at `seq` may have seen commits that are lost. */
  contains(seq: bigint): boolean {
    return this.#gaps.some(({ end, begin }) => seq > end && seq < begin);
  }
}

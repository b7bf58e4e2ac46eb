import { encodeKeyCells, plainType, rowCodec } from '@kalamdb/protocol';
import type { HotSnapshot, PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet } from '../contract.ts';
import type { RowLayout } from '../partition/row-layout.ts';
import type { Draft } from './draft.ts';

/** Table id of the one row that this module keeps; the catalog does not list it. */
export const SEQ_RESERVATION_TABLE_ID = 999;

/** How far ahead of a stream's `_seq` a reservation reaches: 10 s of the snowflake's milliseconds. */
const RESERVED_SEQS = 10_000n << 22n;

const PARTITION: PartitionId = { tableId: SEQ_RESERVATION_TABLE_ID, owner: '' };

const layout: RowLayout = {
  id: SEQ_RESERVATION_TABLE_ID,
  kind: 'system',
  options: { ttlSeconds: undefined, maxBuffer: undefined },
  sinceSeq: 0n,
  codec: rowCodec(1, [{ id: 1, type: plainType('bigint') }]),
  keyOf: () => encodeKeyCells(['streams'], [plainType('text')]) as RowKey,
};

/**
 * Stream commits leave no record, so a restart could hand out their `_seq` again when the clock went back meanwhile.
 * Therefore no stream commit passes a point that is not stored: the commit that would pass it stores a new one, 10 s ahead.
 */
export class SeqReservation {
  /** Durable: a restart begins above it. */
  #reservedUntil: bigint;

  constructor(reservedUntil: bigint) {
    this.#reservedUntil = reservedUntil;
  }

  /** Reads the stored point when a database opens; `startAt` is what the sequence must begin above. */
  static load(snapshot: HotSnapshot): { reservation: SeqReservation; startAt: bigint } {
    const row = snapshot.get(PARTITION, layout.keyOf([], 0n));
    const stored = row === undefined ? undefined : layout.codec.decode(row.bytes)[0];
    const reservedUntil = typeof stored === 'bigint' ? stored : 0n;
    return { reservation: new SeqReservation(reservedUntil), startAt: reservedUntil };
  }

  /** Whether a stream commit may have this `_seq`. */
  covers(seq: bigint): boolean {
    return seq < this.#reservedUntil;
  }

  /** Writes a reservation that reaches beyond `seq`. */
  reserve(draft: Draft, seq: bigint): void {
    // Beside rows that are written anyway it does not count; alone it is the commit.
    draft.put(layout, PARTITION, { cells: [seq + RESERVED_SEQS], uncounted: !draft.isEmpty });
  }

  /** Adds the reservation row to a draft that would pass the stored point. */
  extend(draft: Draft): void {
    if (draft.writesStreams && !this.covers(draft.lastSeq)) this.reserve(draft, draft.lastSeq);
  }

  /** Learns from a commit that the point has moved; called for every commit when it is durable. */
  observe(change: ChangeSet): void {
    for (const { partition, rows } of change.parts) {
      if (partition.tableId !== SEQ_RESERVATION_TABLE_ID) continue;
      const stored = rows.at(-1)?.cells[0];
      if (typeof stored === 'bigint') this.#reservedUntil = stored;
    }
  }
}

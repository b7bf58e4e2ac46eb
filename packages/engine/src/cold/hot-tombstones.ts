import { kalamError } from '@kalamdb/protocol';
import { type ColdMask, encodeManifest, type HotStore, type PartitionId, type RowKey } from '@kalamdb/storage';
import { manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { Table } from '../catalog/table.ts';
import { partitionName } from '../partition/overlay.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { Expirations } from './expirations.ts';
import { type Flusher, TableGone } from './flush.ts';
import type { Manifests } from './manifests.ts';
import { MaskedRows } from './masked-rows.ts';
import type { TombstoneRetention } from './tombstone-retention.ts';

/** Tombstones that one step removes, so that commits waiting for the applier are not held up. */
const REMOVED_MAX = 5000;
/** Rows that are looked at in one view of the hot tier. */
const VIEW_ROWS_MAX = 20_000;
/** Partitions of which it is known how far they have been looked through; with more it is found out again. */
const SCANNED_MAX = 100_000;

/** What {@link HotTombstones} works with. */
export interface HotTombstoneSources {
  readonly sequencer: Sequencer;
  readonly hot: HotStore;
  readonly flusher: Flusher;
  readonly manifests: Manifests;
  readonly retention: TombstoneRetention;
  readonly expirations: Expirations;
}

interface Tombstone {
  readonly key: RowKey;
  readonly seq: bigint;
  readonly masks: ColdMask | undefined;
}

/** Removes tombstones of the hot tier that have been kept long enough. */
export class HotTombstones {
  readonly #sources: HotTombstoneSources;
  /** By partition: no row up to here is a tombstone. */
  readonly #scanned = new Map<string, bigint>();

  constructor(sources: HotTombstoneSources) {
    this.#sources = sources;
  }

  /** Whether there is one. */
  async isDue(table: Table, partition: PartitionId): Promise<boolean> {
    return (await this.#expired(table, partition, 1)).length > 0;
  }

  /**
   * Removes those of a partition; answers how many. First it is written down how far they have expired, and which rows of segments they
   * have taken the place of; cursors below that get RESYNC_REQUIRED.
   */
  async remove(table: Table, partition: PartitionId, signal?: AbortSignal): Promise<number> {
    const { flusher, sequencer } = this.#sources;
    let removed = 0;
    for (;;) {
      signal?.throwIfAborted();
      await sequencer.flush();
      const count = await flusher.exclusively(partition, () => this.#removeSome(table, partition));
      removed += count;
      if (count < REMOVED_MAX) return removed;
    }
  }

  async #removeSome(table: Table, partition: PartitionId): Promise<number> {
    const { sequencer, hot } = this.#sources;
    const found = await this.#expired(table, partition, REMOVED_MAX);
    if (found.length === 0) return 0;
    try {
      await this.#publish(partition, found);
    } catch (error) {
      if (error instanceof TableGone) return 0;
      throw error;
    }
    // Whoever reads without their masks in the manifest has a view of the hot tier in which they are.
    await sequencer.flush();
    await hot.purgeTombstones({ partition, rows: found.map(({ key, seq }) => ({ key, seq })) });
    sequencer.rowCache.forgetPartition(partition);
    this.#note(partitionName(partition), found.at(-1)?.seq ?? 0n);
    return found.length;
  }

  async #publish(partition: PartitionId, found: readonly Tombstone[]): Promise<void> {
    const { flusher, manifests, expirations } = this.#sources;
    const expiredSeq = found.at(-1)?.seq ?? 0n;
    const { manifest: base } = flusher.read(partition);
    if (base === undefined) {
      await flusher.commit(partition, (draft) => expirations.raise(draft, partition, expiredSeq));
      return;
    }
    const masked = new MaskedRows();
    for (const { masks } of found) if (masks !== undefined) masked.add(masks);
    const manifest = {
      ...base,
      version: base.version + 1,
      expiredSeq: expiredSeq > base.expiredSeq ? expiredSeq : base.expiredSeq,
      segments: base.segments.map((segment) => masked.in(segment)),
    };
    const text = encodeManifest(manifest);
    await flusher.commit(partition, (draft) => {
      const record = manifestRepository.latest(draft, BigInt(partition.tableId), partition.owner);
      if (record === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a manifest without its row' });
      manifestRepository.put(draft, { ...record, text, updatedAtMicros: draft.nowMicros });
      manifests.written(partition, { text, manifest });
    });
  }

  /** The oldest tombstones that have expired, by `_seq`, as far as they have left the log. */
  async #expired(table: Table, partition: PartitionId, countMax: number): Promise<readonly Tombstone[]> {
    const { retention, flusher, sequencer } = this.#sources;
    const name = partitionName(partition);
    const throughSeq = retention.expiredThroughSeq(table);
    const flushedSeq = flusher.read(partition).manifest?.flushedSeq ?? 0n;
    const scanned = this.#scanned.get(name) ?? 0n;
    const found: Tombstone[] = [];
    let [afterSeq, more] = [scanned > flushedSeq ? scanned : flushedSeq, true];
    while (more && found.length < countMax && afterSeq < throughSeq) {
      const steps = this.#look({ partition, afterSeq, throughSeq, countMax, found });
      ({ afterSeq, more } = await sequencer.slices.run(steps, () => undefined));
      if (found.length === 0) this.#note(name, afterSeq);
    }
    return found;
  }

  /** Looks through a stretch of rows; answers up to where, and whether there may be more. */
  *#look({ partition, afterSeq, throughSeq, countMax, found }: Look): Steps<{ readonly afterSeq: bigint; readonly more: boolean }> {
    const snapshot = this.#sources.hot.snapshot();
    try {
      const end = throughSeq < snapshot.appliedSeq ? throughSeq : snapshot.appliedSeq;
      let rows = 0;
      for (const { key, seq, deleted, masks } of snapshot.scanBySeq(partition, afterSeq)) {
        if (seq > end) break;
        if (deleted) found.push({ key, seq, masks });
        rows += 1;
        if (found.length >= countMax || rows === VIEW_ROWS_MAX) return { afterSeq: seq, more: true };
        if (rows % STEP_ROWS === 0) yield;
      }
      return { afterSeq: end > afterSeq ? end : afterSeq, more: false };
    } finally {
      snapshot.close();
    }
  }

  #note(name: string, seq: bigint): void {
    if (this.#scanned.size >= SCANNED_MAX) this.#scanned.clear();
    this.#scanned.set(name, seq);
  }
}

interface Look {
  readonly partition: PartitionId;
  readonly afterSeq: bigint;
  readonly throughSeq: bigint;
  readonly countMax: number;
  readonly found: Tombstone[];
}

import { kalamError } from '@kalamdb/protocol';
import type { HotStore, PartitionId } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import type { Overlay } from './overlay.ts';
import { MergedView, type PartitionView } from './partition-view.ts';
import type { RowCache } from './row-cache.ts';
import { type RowLayout, StaleLayout } from './row-layout.ts';
import type { StreamStore } from './stream-store.ts';

/** Everything as it was at one watermark. Whoever opens one closes it, on every path. */
export interface Snapshot {
  /** The watermark: every commit up to this name is visible, none above it. */
  readonly seq: bigint;
  /** Throws CONFLICT when the layout is younger than the snapshot, {@link StaleLayout} when it is one from before it, SNAPSHOT_TOO_OLD. */
  view(layout: RowLayout, partition: PartitionId): PartitionView;
  /**
   * The newest visible versions above `afterSeq` in no order: what a reader lacks that has a hot view of its own at
   * `afterSeq`, which must not be below the applied point of the oldest open snapshot.
   */
  recent(partition: PartitionId, afterSeq: bigint): Iterable<RowVersion>;
  close(): void;
}

/** What a snapshot reads from. */
export interface SnapshotSources {
  readonly hot: HotStore;
  readonly overlay: Overlay;
  readonly streams: StreamStore;
  readonly cache: RowCache;
  /** The watermark now. */
  watermark(): bigint;
}

interface OpenSnapshot {
  readonly appliedSeq: bigint;
  /** The overlay forgets what it needs: it must not be read any more. */
  expired: boolean;
}

/** Opens snapshots and knows the oldest applied point that an open one still reads at. */
export class SnapshotSource {
  readonly #sources: SnapshotSources;
  /** One entry per open snapshot; several may share one hot snapshot. */
  readonly #open = new Set<OpenSnapshot>();
  #stopped = false;

  constructor(sources: SnapshotSources) {
    this.#sources = sources;
  }

  /** From now on {@link open} refuses with SHUTTING_DOWN. */
  stop(): void {
    this.#stopped = true;
  }

  /** A view at the present watermark. */
  open(): Snapshot {
    if (this.#stopped) throw kalamError('SHUTTING_DOWN');
    const { hot, overlay, streams, cache } = this.#sources;
    const isNewest = (): boolean => this.#sources.watermark() === watermark;
    const watermark = this.#sources.watermark();
    const view = hot.snapshot();
    const token: OpenSnapshot = { appliedSeq: view.appliedSeq, expired: false };
    this.#open.add(token);
    const check = (): void => {
      if (token.expired) throw kalamError('SNAPSHOT_TOO_OLD');
    };
    return {
      seq: watermark,
      view: (layout, partition) => {
        check();
        if (layout.kind === 'stream') return streams.view(partition, watermark);
        if (layout.sinceSeq > watermark) throw kalamError('CONFLICT', { reason: 'a table was altered since the transaction began' });
        const laidOut = cache.laidOutSince(layout.id);
        if (laidOut > layout.sinceSeq && laidOut <= watermark) throw new StaleLayout();
        return new MergedView({ layout, partition, hot: view, overlay: overlay.partition(partition), watermark, check, cache, isNewest });
      },
      recent: (partition, afterSeq) => {
        check();
        return overlay.partition(partition)?.above(afterSeq, watermark) ?? [];
      },
      close: () => {
        this.#open.delete(token);
        view.close();
      },
    };
  }

  /** Runs `work` on a snapshot that is closed afterwards. `work` must not keep the snapshot. */
  read<T>(work: (snapshot: Snapshot) => T): T {
    const snapshot = this.open();
    try {
      return work(snapshot);
    } finally {
      snapshot.close();
    }
  }

  /** Ends the snapshots that stand behind the hot tier, so that the overlay need not keep what they read; their next read throws SNAPSHOT_TOO_OLD. */
  expireBehind(): void {
    const { appliedSeq } = this.#sources.hot;
    for (const token of this.#open) {
      if (token.appliedSeq >= appliedSeq) continue;
      token.expired = true;
      this.#open.delete(token);
    }
  }

  /** ChangeSets above this point may still be read through an open snapshot. */
  oldestAppliedSeq(): bigint {
    let oldest = this.#sources.hot.appliedSeq;
    for (const { appliedSeq } of this.#open) if (appliedSeq < oldest) oldest = appliedSeq;
    return oldest;
  }
}

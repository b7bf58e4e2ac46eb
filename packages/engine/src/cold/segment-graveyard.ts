import { KalamError, type Timer, type Timers } from '@kalamdb/protocol';
import { type PartitionId, segmentNames } from '@kalamdb/storage';
import { manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import { type Flusher, TableGone } from './flush.ts';

/** Milliseconds between two looks for readers that are still there. */
const READERS_WAIT_MILLIS = 250;
/** Milliseconds before files that could not be deleted are tried again. */
const RETRY_MILLIS = 60_000;

/** What a {@link SegmentGraveyard} works with. */
export interface GraveyardSources {
  readonly flusher: Pick<Flusher, 'read' | 'commit' | 'exclusively'>;
  readonly stores: StorageRegistry;
  readonly snapshots: Pick<SnapshotSource, 'oldestSeq'>;
  readonly timers: Timers;
  readonly warn: (text: string, detail: object) => void;
}

/** Segments that a manifest does not name any more. */
interface Dropped {
  readonly partition: PartitionId;
  readonly numbers: readonly number[];
  /** Nobody who reads at this watermark or later knows of them. */
  readonly sinceSeq: bigint;
}

/**
 * Deletes the files of segments that compactions have replaced, as soon as nobody can read them: no snapshot and no `keepFiles` is older than the
 * commit that replaced them, and none of the files is open. Until then their numbers are in the row of the manifest, so that the next start
 * goes on.
 */
export class SegmentGraveyard {
  readonly #sources: GraveyardSources;
  #waiting: Dropped[] = [];
  readonly #deleting = new Set<Dropped>();
  #timer: Timer | undefined;
  #closed = false;

  constructor(sources: GraveyardSources) {
    this.#sources = sources;
  }

  /** Segments whose files are still to be deleted. */
  get segments(): number {
    return [...this.#waiting, ...this.#deleting].reduce((sum, { numbers }) => sum + numbers.length, 0);
  }

  /** Takes segments whose numbers the row of their manifest holds. */
  add(dropped: Dropped): void {
    this.#waiting.push(dropped);
    this.#look();
  }

  /** Leaves the rest to the next start. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    const oldest = this.#sources.snapshots.oldestSeq();
    const isFree = ({ sinceSeq }: Dropped): boolean => oldest === undefined || oldest >= sinceSeq;
    const free = this.#waiting.filter(isFree);
    this.#waiting = this.#waiting.filter((dropped) => !isFree(dropped));
    for (const dropped of free) {
      this.#deleting.add(dropped);
      void this.#delete(dropped);
    }
    if (this.#waiting.length > 0) this.#lookAgain(READERS_WAIT_MILLIS);
  }

  #lookAgain(millis: number): void {
    this.#timer?.cancel();
    this.#timer = this.#sources.timers.after(millis, () => this.#look());
  }

  async #delete(dropped: Dropped): Promise<void> {
    const { flusher, stores, warn } = this.#sources;
    const { partition, numbers } = dropped;
    try {
      const { record } = flusher.read(partition);
      if (record === undefined) return;
      const { storageId, folder } = record;
      for (const number of numbers) {
        const { path, bloomPath } = segmentNames(number);
        // The first of them waits for those who have the file open.
        for (const key of [folder + path, folder + bloomPath]) await stores.deleteSegment({ storageId, key });
      }
      await flusher.exclusively(partition, () => this.#forget(dropped));
    } catch (error) {
      if (error instanceof TableGone || this.#closed || (error instanceof KalamError && error.code === 'SHUTTING_DOWN')) return;
      warn('files of segments that were replaced could not be deleted; trying again', { partition, numbers, error });
      this.#waiting.push(dropped);
      this.#lookAgain(RETRY_MILLIS);
    } finally {
      this.#deleting.delete(dropped);
    }
  }

  async #forget({ partition, numbers }: Dropped): Promise<void> {
    const gone = new Set(numbers);
    await this.#sources.flusher.commit(partition, (draft) => {
      const record = manifestRepository.latest(draft, BigInt(partition.tableId), partition.owner);
      if (record === undefined) return;
      manifestRepository.put(draft, { ...record, dropped: record.dropped.filter((number) => !gone.has(number)) });
    });
  }
}

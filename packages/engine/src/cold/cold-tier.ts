import { join } from 'node:path';
import { type Clock, KalamError, type Timers } from '@kalamdb/protocol';
import { BloomCache, type FileSystem, type HotStore, type PartitionId } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import { ColdLookUps } from './cold-look-ups.ts';
import type { ColdReader } from './cold-reader.ts';
import { ColdThread } from './cold-thread.ts';
import { Compactor } from './compaction.ts';
import { MERGED_BYTES_MAX, MERGED_MEMORY_BYTES_MAX, MERGED_ROWS_MAX } from './compaction-plan.ts';
import type { Expirations } from './expirations.ts';
import { Flusher } from './flush.ts';
import { HotTombstones } from './hot-tombstones.ts';
import type { Manifests } from './manifests.ts';
import { SegmentGraveyard } from './segment-graveyard.ts';
import { Segments } from './segments.ts';
import { TableSegments } from './table-segments.ts';
import { TombstoneRetention } from './tombstone-retention.ts';

/** Memory that bloom filters may take, unless set. */
export const BLOOM_BYTES_MAX: number = 64 * 1024 * 1024;
/** Memory that DuckDB may use in one cold thread for one storage. */
const DUCKDB_BYTES_MAX: number = 256 * 1024 * 1024;
/** Folder of segments that are being written, below the data directory. */
const FLUSH_FOLDER = 'flush';
/** And of those that are merged from others. */
const COMPACTION_FOLDER = 'compaction';

/** Settings of a cold tier; each has a default. */
export interface ColdTierSettings {
  readonly bloomBytesMax?: number | undefined;
  /** Rows of a segment. */
  readonly segmentRowsMax?: number | undefined;
  /** Rows of a segment that is merged from others. */
  readonly mergedRowsMax?: number | undefined;
  /** Hours for which tombstones are kept in tables that do not say it. */
  readonly deletedRetentionHours?: number | undefined;
}

/** What a cold tier works with. */
export interface ColdTierSources {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  readonly hot: HotStore;
  readonly manifests: Manifests;
  readonly expirations: Expirations;
  readonly storages: StorageRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly files: FileSystem;
  /** The data directory. */
  readonly directory: string;
  /** The hot tier's folder, which the cold threads open too. */
  readonly hotPath: string;
  readonly settings: ColdTierSettings;
  readonly warn: (text: string, detail: object) => void;
}

/** See {@link ColdTier.exceeds}. */
interface HotBounds {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** The cold tier of a database: what reads segments, and what makes them. */
export class ColdTier {
  readonly catalog: Catalog;
  readonly manifests: Manifests;
  readonly expirations: Expirations;
  readonly segments: Segments;
  readonly lookUps: ColdLookUps;
  readonly flusher: Flusher;
  readonly compactor: Compactor;
  readonly retention: TombstoneRetention;
  readonly graveyard: SegmentGraveyard;
  readonly hotTombstones: HotTombstones;
  readonly tables: TableSegments;
  readonly #threads: readonly ColdThread[];
  readonly #sources: ColdTierSources;
  #recovering: Promise<void> | undefined;

  private constructor(sources: ColdTierSources) {
    const { sequencer, latches, manifests, storages: stores, timers, hotPath, settings } = sources;
    const start = { hotPath, memoryBytesMax: DUCKDB_BYTES_MAX };
    // A segment that is written must not keep those waiting who read.
    const [reading, writing] = [new ColdThread(start, timers), new ColdThread(start, timers)];
    const blooms = new BloomCache(settings.bloomBytesMax ?? BLOOM_BYTES_MAX);
    this.#sources = sources;
    this.catalog = sources.catalog;
    this.manifests = manifests;
    this.expirations = sources.expirations;
    this.#threads = [reading, writing];
    this.segments = new Segments({ manifests, stores, blooms, thread: reading, slices: sequencer.slices });
    this.lookUps = new ColdLookUps({ manifests, reader: this.segments, snapshots: sequencer.snapshots, latches });
    this.flusher = new Flusher({
      ...sources,
      stores,
      blooms,
      segments: this.segments,
      thread: writing,
      directory: join(sources.directory, FLUSH_FOLDER),
      segmentRowsMax: settings.segmentRowsMax,
    });
    this.retention = new TombstoneRetention(sources.clock, settings.deletedRetentionHours);
    const { segments: reader, flusher, retention } = this;
    this.graveyard = new SegmentGraveyard({ ...sources, stores, flusher, snapshots: sequencer.snapshots });
    this.hotTombstones = new HotTombstones({ ...sources, flusher, retention });
    this.compactor = new Compactor({
      ...sources,
      stores,
      blooms,
      segments: reader,
      flusher,
      retention,
      graveyard: this.graveyard,
      thread: writing,
      directory: join(sources.directory, COMPACTION_FOLDER),
      bounds: {
        rowsMax: settings.mergedRowsMax ?? MERGED_ROWS_MAX,
        bytesMax: MERGED_BYTES_MAX,
        memoryBytesMax: MERGED_MEMORY_BYTES_MAX,
      },
    });
    this.tables = new TableSegments({ manifests, reader, flusher, stores, snapshots: sequencer.snapshots, timers });
  }

  /** Opens the folders; no thread is started before it is needed. */
  static async open(sources: ColdTierSources): Promise<ColdTier> {
    const { files, directory } = sources;
    for (const folder of [FLUSH_FOLDER, COMPACTION_FOLDER]) await files.makeDirectory(join(directory, folder));
    const cold = new ColdTier(sources);
    await cold.compactor.clear();
    return cold;
  }

  /** Reads the rows of segments. */
  get reader(): ColdReader {
    return this.segments;
  }

  /** Whether a partition may have segments. */
  mayHave(partition: PartitionId): boolean {
    return this.manifests.mayHave(partition);
  }

  /** Folders that the files of segments lie in, as far as there are storages now. */
  segmentFolders(): readonly string[] {
    return this.#sources.storages.segmentFolders();
  }

  /** See `ColdTables`. */
  expiredSeq(partition: PartitionId): bigint {
    return this.expirations.of(partition);
  }

  /** The owners of a table who have rows that no segment holds. */
  *pendingOwners(table: Table): IterableIterator<string> {
    const { snapshots } = this.#sources.sequencer;
    const owners = table.kind === 'user' ? snapshots.read((snapshot) => [...snapshot.owners(table.id)]) : [''];
    for (const owner of owners) {
      const isPending = snapshots.read((snapshot) => {
        for (const _ of snapshot.view(table, table.partitionFor(owner)).scanBySeq(0n)) return true;
        return false;
      });
      if (isPending) yield owner;
    }
  }

  /** Whether a partition has at least so many rows that no segment holds, or so many bytes of them, as far as they have left the log. */
  async exceeds(table: Table, partition: PartitionId, { rowsMax, bytesMax }: HotBounds): Promise<boolean> {
    const { sequencer, hot } = this.#sources;
    const flushedSeq = sequencer.snapshots.read((snapshot) => snapshot.view(table, partition).manifest?.flushedSeq) ?? 0n;
    return sequencer.slices.run(countHot(hot, partition, { flushedSeq, rowsMax, bytesMax }), () => undefined);
  }

  /** Takes up, in the background, what the last run has left. */
  start(): void {
    const { warn } = this.#sources;
    this.#recovering = this.#recover().catch((error: unknown) => {
      if (error instanceof KalamError && error.code === 'SHUTTING_DOWN') return;
      warn('what the last run has left in the cold tier could not be taken up; the next start tries again', { error });
    });
  }

  async #recover(): Promise<void> {
    const { flusher, manifests, graveyard } = this;
    await flusher.recover();
    for (const partition of [...manifests.partitions()]) {
      const numbers = flusher.read(partition).record?.dropped ?? [];
      if (numbers.length > 0) graveyard.add({ partition, numbers, sinceSeq: this.#sources.sequencer.watermark });
    }
  }

  /** Closes the handles that the threads have on the hot tier; calls that come later open others. */
  async letGo(): Promise<void> {
    for (const thread of this.#threads) await thread.letGo();
  }

  /** Ends what is under way with SHUTTING_DOWN. */
  async close(): Promise<void> {
    this.graveyard.close();
    for (const thread of this.#threads) await thread.close();
    await this.#recovering;
  }
}

function* countHot(hot: HotStore, partition: PartitionId, bounds: HotBounds & { readonly flushedSeq: bigint }): Steps<boolean> {
  const snapshot = hot.snapshot();
  try {
    let [rows, bytes] = [0, 0];
    for (const row of snapshot.scanBySeq(partition, bounds.flushedSeq)) {
      rows += 1;
      bytes += row.bytes.byteLength;
      if (rows >= bounds.rowsMax || bytes >= bounds.bytesMax) return true;
      if (rows % STEP_ROWS === 0) yield;
    }
    return false;
  } finally {
    snapshot.close();
  }
}

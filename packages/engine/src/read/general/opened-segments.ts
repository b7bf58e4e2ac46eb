import type { LocalFile, Manifest } from '@kalamdb/storage';
import { ColdRowsNeeded } from '../../partition/cold-rows.ts';
import { isInside } from '../../stores/storage-location.ts';
import type { ColdTables } from '../cold-select.ts';
import { chosenSegments } from './chosen-segments.ts';
import type { GrantedSource } from './general-request.ts';
import type { ColdSource, HotSource, SentFile } from './query-messages.ts';

/** What {@link OpenedSegments} works with. */
export interface SegmentOpening {
  readonly cold: ColdTables;
  /** The only folders that the query thread may read files of. */
  readonly folders: readonly string[];
}

/** The files of the segments that one query reads, held until it has ended. */
export class OpenedSegments {
  readonly #files: LocalFile[] = [];
  #isReleased = false;

  /**
   * What a query reads of a partition's segments. Throws {@link ColdRowsNeeded} when the thread may not read one of their files, and what opening
   * them throws.
   */
  async open(
    { cold, folders }: SegmentOpening,
    { grant }: GrantedSource,
    { manifest, hot }: { readonly manifest: Manifest; readonly hot: HotSource },
  ): Promise<ColdSource> {
    const { segments } = await chosenSegments(cold.reader, grant.table, manifest, hot);
    const opened = await cold.reader.openFiles(manifest, segments);
    this.#files.push(...opened);
    if (this.#isReleased) this.#closeAll();
    const files: SentFile[] = [];
    for (const [index, { stats: _stats, masked, maskedTombstones: _count, ...segment }] of segments.entries()) {
      const path = opened[index]?.path ?? '';
      if (!folders.some((folder) => isInside(path, folder))) throw new ColdRowsNeeded();
      files.push({ path, segment, masked: Uint32Array.from(masked) });
    }
    return { flushedSeq: manifest.flushedSeq, files };
  }

  /** To be called when nothing reads the files any more; what is opened later is closed at once. */
  release(): void {
    this.#isReleased = true;
    this.#closeAll();
  }

  #closeAll(): void {
    for (const { close } of this.#files.splice(0)) close();
  }
}

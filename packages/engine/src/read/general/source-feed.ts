import type { Cell } from '@kalamdb/protocol';
import type { InputRow } from '@kalamdb/sql';
import type { ColdPosition } from '@kalamdb/storage';
import { mergedRows } from '../../cold/merged-rows.ts';
import { ColdRowsNeeded } from '../../partition/cold-rows.ts';
import type { Snapshot, SnapshotSource } from '../../partition/snapshot.ts';
import type { Slices } from '../../slices/slices.ts';
import { STEP_ROWS, type Steps } from '../../slices/steps.ts';
import type { ColdTables } from '../cold-select.ts';
import { ChunkWriter, chunksOfRows, transferList } from '../row-chunks.ts';
import { versionCells } from '../scan-messages.ts';
import type { OpenSource } from '../select-steps.ts';
import type { GeneralRequest, GrantedSource } from './general-request.ts';
import { OpenedSegments } from './opened-segments.ts';
import type { ColdSource, HotSource, QueryCall, RecentRows, SentQuery, SourceColumn } from './query-messages.ts';

/** Bytes of rows in one message to the query thread; the row that passes it is still in. */
const PORTION_BYTES_MAX = 256 * 1024;
/** Messages of rows that the thread has not read yet. */
const PORTIONS_AHEAD_MAX = 4;

/** What the rows of a query's sources are fed with. */
export interface FeedParts {
  readonly id: number;
  readonly request: GeneralRequest;
  readonly query: SentQuery;
  readonly snapshots: Pick<SnapshotSource, 'open'> | undefined;
  /** Absent: there is no cold tier. */
  readonly cold: ColdTables | undefined;
  /** The only folders that the thread may read files of. */
  readonly folders: readonly string[];
  readonly slices: Slices;
  /** Aborted when the query ends. */
  readonly signal: AbortSignal;
  post(call: QueryCall, transfer: ArrayBuffer[]): void;
}

/**
 * Gives the query thread what it cannot read by itself: the versions that its view of the hot tier lacks, and the rows of streams, of computed
 * tables and of transactions, and the files of segments. All of it is of one watermark, read in slices, and no further ahead than the thread has read.
 */
export class SourceFeed {
  readonly #parts: FeedParts;
  /** Keeps the overlay from forgetting what the thread's view may lack, until that was sent. */
  #pin: Snapshot | undefined;
  readonly #segments = new OpenedSegments();
  #ahead = 0;
  #room: (() => void) | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Before the thread opens its view. */
  pin(): void {
    if (this.#readsHot) this.#pin = this.#parts.snapshots?.open();
  }

  /** Lets go of what {@link pin} holds. */
  unpin(): void {
    this.#pin?.close();
    this.#pin = undefined;
  }

  /** The thread holds nothing of the query any more. */
  release(): void {
    this.#segments.release();
  }

  /** The thread has read one message of rows. */
  taken(): void {
    this.#ahead -= 1;
    this.#room?.();
  }

  /** Reads and sends everything; the thread's view is at `appliedSeq`. Rejects with what reading throws, {@link ColdRowsNeeded} and the signal's reason. */
  async run(appliedSeq: bigint): Promise<void> {
    const { request, snapshots } = this.#parts;
    if (request.open === undefined) return;
    const byItself = this.#readsHot && snapshots !== undefined;
    if (byItself) request.assertCurrent?.();
    const now = byItself ? snapshots.open() : undefined;
    const opened = now ?? request.open();
    try {
      if (now !== undefined) await this.#sendRecent(now, appliedSeq);
      for (const [index, source] of this.#parts.query.sources.entries()) {
        const granted = request.sources[index];
        if (source.hot === undefined && granted !== undefined) await this.#sendSource(index, granted, opened);
      }
    } finally {
      opened.close();
    }
  }

  get #readsHot(): boolean {
    return this.#parts.query.sources.some(({ hot }) => hot !== undefined);
  }

  async #sendRecent(now: Snapshot, appliedSeq: bigint): Promise<void> {
    const { id, query, slices, signal, post } = this.#parts;
    const sources: RecentRows[] = [];
    for (const [source, { hot }] of query.sources.entries()) {
      if (hot === undefined) continue;
      const cold = await this.#openSegments(source, hot, now);
      const masks: ColdPosition[] = [];
      const versions = mapped(now.recent(hot.partition, appliedSeq), (version) => {
        if (version.masks !== undefined) masks.push(version.masks);
        return versionCells(version);
      });
      const chunks = await slices.run(chunksOfRows(versions), () => signal.throwIfAborted());
      sources.push({ source, chunks, masks, expiredSeq: this.#expiredSeq(hot, now), cold });
    }
    this.unpin();
    post({ kind: 'recent', id, watermark: now.seq, sources }, transferList(sources.flatMap(({ chunks }) => chunks)));
  }

  #expiredSeq({ partition }: HotSource, now: Snapshot): bigint {
    const inHotTier = this.#parts.cold?.expiredSeq(partition) ?? 0n;
    const inManifest = now.manifest(partition)?.expiredSeq ?? 0n;
    return inHotTier > inManifest ? inHotTier : inManifest;
  }

  async #openSegments(source: number, hot: HotSource, now: Snapshot): Promise<ColdSource | undefined> {
    const { request, cold, folders } = this.#parts;
    const manifest = now.manifest(hot.partition);
    const granted = request.sources[source];
    if (manifest === undefined || granted === undefined) return undefined;
    if (cold === undefined) throw new ColdRowsNeeded();
    return this.#segments.open({ cold, folders }, granted, { manifest, hot });
  }

  async #sendSource(index: number, { grant, computed }: GrantedSource, opened: OpenSource): Promise<void> {
    const { query, cold } = this.#parts;
    const { table, partition } = grant;
    const columns = query.sources[index]?.columns ?? [];
    const view = computed === undefined ? opened.view(table, partition) : undefined;
    const manifest = view?.manifest;
    if (view !== undefined && manifest !== undefined && cold !== undefined) {
      for await (const rows of mergedRows(cold.reader, { view, place: { table, partition, manifest } }, {})) {
        await this.#send(index, sentRows(columns, rows), false);
      }
      await this.#send(index, sentRows(columns, []), true);
      return;
    }
    const cellsUnused = columns.every(({ place }) => typeof place !== 'number');
    await this.#send(index, sentRows(columns, computed?.() ?? view?.scan({ cellsUnused }) ?? []), true);
  }

  /** Sends rows of a source; `isEnd`: there are no others. */
  async #send(source: number, rows: Iterator<readonly Cell[]>, isEnd: boolean): Promise<void> {
    const { id, slices, signal, post } = this.#parts;
    try {
      for (;;) {
        await this.#waitForRoom();
        const { chunks, last } = await slices.run(portion(rows), () => signal.throwIfAborted());
        signal.throwIfAborted();
        if (chunks.length > 0 || (last && isEnd)) {
          this.#ahead += 1;
          post({ kind: 'rows', id, source, chunks, last: last && isEnd }, transferList(chunks));
        }
        if (last) return;
      }
    } finally {
      rows.return?.();
    }
  }

  #waitForRoom(): Promise<void> {
    const { signal } = this.#parts;
    signal.throwIfAborted();
    if (this.#ahead < PORTIONS_AHEAD_MAX) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = (): void => reject(signal.reason);
      signal.addEventListener('abort', end, { once: true });
      this.#room = () => {
        signal.removeEventListener('abort', end);
        this.#room = undefined;
        resolve();
      };
    });
  }
}

/** The next rows, in steps. */
function* portion(rows: Iterator<readonly Cell[]>): Steps<{ readonly chunks: readonly Uint8Array[]; readonly last: boolean }> {
  const writer = new ChunkWriter();
  let left = STEP_ROWS;
  while (writer.readyBytes < PORTION_BYTES_MAX) {
    const next = rows.next();
    if (next.done === true) return { chunks: writer.take(), last: true };
    writer.add(next.value);
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  return { chunks: writer.take(), last: false };
}

/** The cells that a query names of the rows that are not deleted. */
function* sentRows(columns: readonly SourceColumn[], rows: Iterable<InputRow>): Generator<readonly Cell[]> {
  for (const row of rows) {
    if (row.deleted) continue;
    yield columns.map(({ place }) => (typeof place === 'number' ? (row.cells[place] ?? null) : place === '_seq' ? row.seq : row.deleted));
  }
}

function* mapped<T, U>(items: Iterable<T>, change: (item: T) => U): Iterable<U> {
  for (const item of items) yield change(item);
}

import { deserialize, serialize } from 'node:v8';
import { kalamError } from '@kalamdb/protocol';
import {
  type ColdRow,
  type HotReader,
  loadDuckDb,
  noRows,
  type OpenDuckDb,
  openInstance,
  type Segment,
  SegmentReader,
  SegmentWriter,
  type StoredRow,
  systemFiles,
} from '@kalamdb/storage';
import { createTable, type Table } from '../catalog/table.ts';
import {
  type ColdAnswer,
  type ColdCall,
  type CompactOrder,
  type FlushedSegment,
  type FlushOrder,
  failedAnswer,
  type MergedSegments,
  type NewSegment,
  type SentRow,
  type SentSegment,
  type SentTable,
  sentRow,
} from './cold-messages.ts';
import { readHot } from './disk-failure.ts';
import { mergeSegments } from './merge-segments.ts';
import { type SegmentRows, scanRows } from './segment-merge.ts';

/** Tables that are kept for the next call about them. */
const TABLES_MAX = 200;
/** Folders that DuckDB is kept open for. */
const FOLDERS_MAX = 8;
/** Rows of one piece of an answer, which is read in well under a millisecond. */
const PIECE_ROWS = 128;
/** Rows of one answer to a scan. */
const ANSWER_ROWS = 1024;

/** How the thread answers. */
export type ColdReply = (answer: ColdAnswer, transfer?: ArrayBuffer[]) => void;

/** What a {@link ColdSession} works with. */
export interface ColdSessionSources {
  readonly hot: HotReader;
  readonly memoryBytesMax: number;
  readonly reply: ColdReply;
}

/** The thread's side of the conversation: reads segments and writes new ones. */
export class ColdSession {
  readonly #sources: ColdSessionSources;
  /** By id and version. */
  readonly #tables = new Map<string, Table>();
  /** By folder, those used last at the end. */
  readonly #instances = new Map<string, Promise<OpenDuckDb>>();
  readonly #scans = new Map<number, AsyncIterator<readonly SentRow[]>>();

  constructor(sources: ColdSessionSources) {
    this.#sources = sources;
  }

  /** Answers a call; never rejects. */
  async handle(call: Exclude<ColdCall, { kind: 'close' }>): Promise<void> {
    try {
      await this.#handle(call);
    } catch (error) {
      this.#sources.reply(failedAnswer(call.id, error));
    }
  }

  async #handle(call: Exclude<ColdCall, { kind: 'close' }>): Promise<void> {
    const { id } = call;
    switch (call.kind) {
      case 'look-up':
        this.#answer(id, await this.#lookUp(call));
        break;
      case 'scan':
        this.#scans.set(id, this.#scan(call));
        await this.#next(id);
        break;
      case 'next':
        await this.#next(id);
        break;
      case 'end':
        await this.#end(id);
        break;
      case 'compact': {
        const segments = await this.#compact(call.order);
        this.#sources.reply({ kind: 'compacted', id, segments }, segments.merged === undefined ? [] : transferred(segments.merged));
        break;
      }
      case 'flush': {
        const flushed = await this.#flush(call.order);
        this.#sources.reply({ kind: 'flushed', id, flushed }, flushed === undefined ? [] : transferred(flushed));
        break;
      }
      default:
        call satisfies never;
    }
  }

  async #lookUp({ table: sent, segments }: Extract<ColdCall, { kind: 'look-up' }>): Promise<SentRow[]> {
    const table = this.#table(sent);
    const found: SentRow[] = [];
    for (const { keys, ...one } of segments) {
      const { reader, file, segment } = await this.#open(one);
      const layout = table.segmentLayout(segment.schemaVersion);
      for (const row of await reader.lookup(file, segment, layout, keys)) found.push(upgraded(table, segment, row));
    }
    return found;
  }

  #scan({ table: sent, segments, scan }: Extract<ColdCall, { kind: 'scan' }>): AsyncIterator<readonly SentRow[]> {
    const table = this.#table(sent);
    const open = async (one: SentSegment): Promise<SegmentRows<SentRow>> => {
      const { reader, file, segment } = await this.#open(one);
      const layout = table.segmentLayout(segment.schemaVersion);
      const batches = reader.scan(file, segment, layout, { keys: scan.keys, afterSeq: scan.afterSeq, order: scan.order });
      return { batches, made: (row: ColdRow) => upgraded(table, segment, row) };
    };
    return scanRows(segments, scan, open);
  }

  async #next(id: number): Promise<void> {
    const scan = this.#scans.get(id);
    // It was begun in a thread that has ended: an answer without rows would be taken for its end.
    if (scan === undefined) throw kalamError('QUERY_INTERRUPTED');
    const rows: SentRow[] = [];
    try {
      while (rows.length < ANSWER_ROWS) {
        const step = await scan.next();
        if (step.done === true) break;
        for (const row of step.value) rows.push(row);
      }
    } catch (error) {
      this.#scans.delete(id);
      throw error;
    }
    if (rows.length === 0) this.#scans.delete(id);
    this.#answer(id, rows);
  }

  async #end(id: number): Promise<void> {
    const scan = this.#scans.get(id);
    this.#scans.delete(id);
    await scan?.return?.();
  }

  #answer(id: number, rows: readonly SentRow[]): void {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    // A copy, because small buffers share a slab.
    for (let from = 0; from < rows.length; from += PIECE_ROWS) pieces.push(new Uint8Array(serialize(rows.slice(from, from + PIECE_ROWS))));
    const transfer = pieces.map(({ buffer }) => buffer);
    this.#sources.reply({ kind: 'rows', id, pieces }, transfer);
  }

  #compact(order: CompactOrder): Promise<MergedSegments> {
    const { hot, memoryBytesMax } = this.#sources;
    const instance = (folder: string): Promise<OpenDuckDb> => this.#instance(folder);
    return mergeSegments({ hot, memoryBytesMax, instance, table: this.#table(order.table) }, order);
  }

  async #flush(order: FlushOrder): Promise<FlushedSegment | undefined> {
    const table = this.#table(order.table);
    const { rows, more } = readHot(order, () => this.#oldest(order));
    if (rows.length === 0) return undefined;
    rows.sort((a, b) => (a.key < b.key ? -1 : 1));
    const db = await this.#instance(order.root);
    const { number, directory, createdAtMillis } = order;
    const layout = table.segmentLayout(table.version);
    const writer = await SegmentWriter.open(db, { files: systemFiles, directory, number, layout, createdAtMillis });
    const tombstones = new Uint8Array((rows.length + 7) >>> 3);
    try {
      writer.add(decoded(table, rows, tombstones));
      const { segment, keys, path, bloomPath } = await writer.finish();
      const { masked: _, ...sent } = segment;
      return { segment: sent, keys: keys.image, tombstones, ...masksOf(rows), path, bloomPath, more };
    } catch (error) {
      await writer.discard();
      throw error;
    }
  }

  /** The oldest rows that are to be flushed, by `_seq`. */
  #oldest({ partition, afterSeq, throughSeq, rowsMax, bytesMax }: FlushOrder): { readonly rows: StoredRow[]; readonly more: boolean } {
    const snapshot = this.#sources.hot.snapshot();
    const rows: StoredRow[] = [];
    let bytes = 0;
    try {
      for (const row of snapshot.scanBySeq(partition, afterSeq)) {
        if (row.seq > throughSeq) break;
        if (rows.length === rowsMax || bytes >= bytesMax) return { rows, more: true };
        rows.push(row);
        bytes += row.bytes.byteLength;
      }
      return { rows, more: false };
    } finally {
      snapshot.close();
    }
  }

  #table({ id, version, spec }: SentTable): Table {
    const name = `${id}/${version}`;
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = createTable(deserialize(spec));
    const [oldest] = this.#tables.keys();
    if (this.#tables.size >= TABLES_MAX && oldest !== undefined) this.#tables.delete(oldest);
    this.#tables.set(name, table);
    return table;
  }

  async #open({ segment, path, root }: SentSegment) {
    const reader = new SegmentReader(await this.#instance(root), { memoryBytesMax: this.#sources.memoryBytesMax });
    const whole: Segment = { ...segment, stats: new Map(), masked: noRows, maskedTombstones: 0 };
    // The main thread holds the file.
    return { reader, file: { path, close: () => undefined }, segment: whole };
  }

  /** DuckDB may reach one folder only; which ones there are is not known when it is opened. */
  #instance(folder: string): Promise<OpenDuckDb> {
    const known = this.#instances.get(folder);
    const instance = known ?? this.#openInstance(folder);
    // Whoever asked is told; the next one who asks tries again.
    if (known === undefined) instance.catch(() => this.#instances.delete(folder));
    this.#instances.delete(folder);
    this.#instances.set(folder, instance);
    const [oldest] = this.#instances.keys();
    if (this.#instances.size > FOLDERS_MAX && oldest !== undefined) this.#instances.delete(oldest);
    return instance;
  }

  async #openInstance(folder: string): Promise<OpenDuckDb> {
    const { memoryBytesMax } = this.#sources;
    const db = await loadDuckDb();
    return { db, instance: await openInstance(db, { memoryBytesMax, threads: 1, directories: [folder] }) };
  }
}

function upgraded(table: Table, { schemaVersion }: Segment, row: ColdRow): SentRow {
  return sentRow(row, table.upgraded(schemaVersion, row.cells));
}

function* decoded(table: Table, rows: readonly StoredRow[], tombstones: Uint8Array) {
  for (const [index, { key, seq, createdSeq, deleted, bytes }] of rows.entries()) {
    if (deleted) tombstones[index >>> 3] = (tombstones[index >>> 3] ?? 0) | (1 << (index & 7));
    yield { key, seq, createdSeq, deleted, cells: table.codec.decode(bytes) };
  }
}

function masksOf(rows: readonly StoredRow[]): Pick<FlushedSegment, 'masks' | 'maskedTombstones'> {
  const masked = rows.flatMap(({ masks }) => masks ?? []);
  return {
    masks: Uint32Array.from(masked.flatMap(({ segment, row }) => [segment, row])),
    maskedTombstones: Uint8Array.from(masked.map(({ deleted }) => (deleted ? 1 : 0))),
  };
}

function transferred({ keys }: NewSegment): ArrayBuffer[] {
  return [keys.bytes.buffer, keys.ends.buffer];
}

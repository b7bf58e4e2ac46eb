import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { type Cell, type DataType, kalamError, plainType } from '@kalamdb/protocol';
import type { OpenDuckDb } from '../columns/duckdb.ts';
import { type VectorCells, vectorCells } from '../columns/vector-cells.ts';
import type { RowKey } from '../contract.ts';
import type { ColdRow, LocalFile, Segment, SegmentLayout, SegmentScan } from './contract.ts';
import { readFailure } from './segment-failure.ts';
import { columnAlias, filesText, lookupCondition, ROW_NUMBER, scanCondition } from './segment-query.ts';
import { keyMaker } from './segment-schema.ts';

/** Keys of one query. */
const LOOKUP_KEYS_MAX = 1000;
const BIGINT: DataType = plainType('bigint');
const BOOLEAN: DataType = plainType('boolean');

/** What a reader works with. */
export interface SegmentReaderOptions {
  /** The memory of the instance, for errors. */
  readonly memoryBytesMax: number;
}

/**
 * Reads the rows of segments through an instance of DuckDB that may reach their files. Masked rows are left out everywhere, tombstones are
 * not. The caller has asked statistics and bloom filter before, and holds the file until it has the rows. Rejects with DAMAGED_DATA
 * when the file is not what the manifest says, as far as reading shows it (the checksum is for whoever fetched the file), with QUERY_TOO_LARGE and
 * QUERY_INTERRUPTED.
 */
export class SegmentReader {
  readonly #db: OpenDuckDb;
  readonly #memoryBytesMax: number;

  constructor(db: OpenDuckDb, { memoryBytesMax }: SegmentReaderOptions) {
    this.#db = db;
    this.#memoryBytesMax = memoryBytesMax;
  }

  /** The rows of those of the keys that the segment holds, in key order. Most of the time is opening the file: ask for many keys at once. */
  async lookup(file: LocalFile, segment: Segment, layout: SegmentLayout, keys: readonly RowKey[]): Promise<ColdRow[]> {
    const sorted = [...keys].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const found: ColdRow[] = [];
    for (let start = 0; start < sorted.length; start += LOOKUP_KEYS_MAX) {
      const wanted = sorted.slice(start, start + LOOKUP_KEYS_MAX);
      const set = new Set(wanted);
      const plan: ReadPlan = { condition: lookupCondition(layout, wanted), order: '', columns: undefined, takes: (key) => set.has(key) };
      for await (const rows of this.#read(file, { segment, layout }, plan)) for (const row of rows) found.push(row);
    }
    // DuckDB joins with a long list of keys, and has its own order then.
    return found.sort((a, b) => a.position.row - b.position.row);
  }

  /**
   * The rows of a scan in batches of at most 2,048, none of them empty. The cells of columns that are not asked for are NULL, but for those of
   * the key. Whoever ends it early calls `return` (as `for await` does): what DuckDB is at is interrupted.
   */
  scan(file: LocalFile, segment: Segment, layout: SegmentLayout, scan: SegmentScan = {}): AsyncIterableIterator<ColdRow[]> {
    const { from, before, reverse } = scan.keys ?? {};
    const direction = reverse === true ? ' DESC' : '';
    const order = scan.order === 'seq' ? ` ORDER BY _seq${direction}` : reverse === true ? ` ORDER BY ${ROW_NUMBER} DESC` : '';
    return this.#read(
      file,
      { segment, layout },
      {
        condition: scanCondition(layout, scan),
        order,
        columns: scan.columns,
        takes: (key) => (from === undefined || key >= from) && (before === undefined || key < before),
      },
    );
  }

  #read(file: LocalFile, source: Source, plan: ReadPlan): AsyncIterableIterator<ColdRow[]> {
    const running: Running = { connection: undefined };
    const batches = this.#batches(file, source, plan, running);
    return {
      next: () => batches.next(),
      return: () => {
        // Otherwise the end would wait until DuckDB has come to the next row.
        running.connection?.interrupt();
        return batches.return(undefined);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async *#batches(file: LocalFile, source: Source, plan: ReadPlan, running: Running): AsyncGenerator<ColdRow[], undefined> {
    const { layout, segment } = source;
    const read = readColumns(layout, plan.columns);
    const selected = [...read.map(columnAlias), '_seq', '_created_seq', '_deleted', ROW_NUMBER].join(', ');
    const text = `SELECT ${selected} FROM ${filesText([file.path], layout)} WHERE ${plan.condition}${plan.order}`;
    try {
      const connection = await this.#db.instance.connect();
      running.connection = connection;
      const result = await connection.stream(text);
      const decoder = new ChunkDecoder(this.#db, source, plan, read);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return undefined;
        const rows = decoder.rows(chunk);
        if (rows.length > 0) yield rows;
      }
    } catch (error) {
      throw readFailure(error, segment.path, this.#memoryBytesMax);
    } finally {
      running.connection?.closeSync();
      running.connection = undefined;
    }
  }
}

interface Running {
  connection: DuckDBConnection | undefined;
}

interface Source {
  readonly segment: Segment;
  readonly layout: SegmentLayout;
}

interface ReadPlan {
  readonly condition: string;
  readonly order: string;
  readonly columns: readonly number[] | undefined;
  takes(key: RowKey): boolean;
}

/** The columns that are read: those asked for and the key's, each once, in order. */
function readColumns({ columns, keyIndexes }: SegmentLayout, wanted: readonly number[] | undefined): readonly number[] {
  if (wanted === undefined) return columns.map((_, index) => index);
  return [...new Set([...wanted, ...keyIndexes])].sort((a, b) => a - b);
}

/** Makes rows of chunks, and holds them against what the manifest says. */
class ChunkDecoder {
  readonly #db: OpenDuckDb;
  readonly #segment: Segment;
  readonly #layout: SegmentLayout;
  readonly #plan: ReadPlan;
  readonly #read: readonly number[];
  readonly #keyOf: (cells: readonly Cell[], seq: bigint) => RowKey | undefined;

  constructor(db: OpenDuckDb, { segment, layout }: Source, plan: ReadPlan, read: readonly number[]) {
    this.#db = db;
    this.#segment = segment;
    this.#layout = layout;
    this.#plan = plan;
    this.#read = read;
    this.#keyOf = keyMaker(layout);
  }

  rows(chunk: DuckDBDataChunk): ColdRow[] {
    const { number, masked } = this.#segment;
    const readers = this.#read.map((index, at) => this.#reader(chunk, at, this.#layout.columns[index]?.type ?? BIGINT));
    const count = readers.length;
    const [seqs, createdSeqs] = [this.#reader(chunk, count, BIGINT), this.#reader(chunk, count + 1, BIGINT)];
    const [deletions, positions] = [this.#reader(chunk, count + 2, BOOLEAN), this.#reader(chunk, count + 3, BIGINT)];
    const found: ColdRow[] = [];
    const { rowCount } = chunk;
    for (let at = 0; at < rowCount; at += 1) {
      const row = Number(positions(at));
      if (masked.has(row)) continue;
      const cells = new Array<Cell>(this.#layout.columns.length).fill(null);
      for (let index = 0; index < count; index += 1) cells[this.#read[index] ?? 0] = readers[index]?.(at) ?? null;
      const [seq, createdSeq, deleted] = [seqs(at), createdSeqs(at), deletions(at)];
      if (typeof seq !== 'bigint' || typeof createdSeq !== 'bigint' || typeof deleted !== 'boolean') throw this.#damaged(row);
      const key = this.#keyOf(cells, seq);
      if (key === undefined || !this.#isOfSegment(row, seq, key)) throw this.#damaged(row);
      if (this.#plan.takes(key)) found.push({ key, seq, createdSeq, deleted, cells, position: { segment: number, row } });
    }
    return found;
  }

  #reader(chunk: DuckDBDataChunk, column: number, type: DataType): VectorCells {
    return vectorCells(this.#db.db, chunk.getColumnVector(column), type);
  }

  #isOfSegment(row: number, seq: bigint, key: RowKey): boolean {
    const { rows, minSeq, maxSeq, minKey, maxKey } = this.#segment;
    return row < rows && seq >= minSeq && seq <= maxSeq && key >= minKey && key <= maxKey;
  }

  #damaged(row: number): Error {
    return kalamError('DAMAGED_DATA', { where: `the segment ${this.#segment.path}`, reason: `row ${row} is not one of its manifest's` });
  }
}

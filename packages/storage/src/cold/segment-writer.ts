import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api';
import { type Cell, kalamError } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import { textLiteral } from '../columns/cell-literal.ts';
import type { ColumnBuffer } from '../columns/column-buffer.ts';
import { ChunkAppender, loadVectorBindings } from '../columns/column-chunk.ts';
import type { OpenDuckDb } from '../columns/duckdb.ts';
import type { FileSystem } from '../files/file-system.ts';
import { removeIfThere, writeNewFile } from '../files/whole-file.ts';
import { encodeBloom } from './bloom-filter.ts';
import { StatsCollector } from './column-stats.ts';
import type { ColumnStats, Segment, SegmentLayout, SegmentRow } from './contract.ts';
import { KeyPacker, type PackedKeys } from './packed-keys.ts';
import { noRows } from './row-positions.ts';
import { sumFile } from './segment-check.ts';
import { writeFailure } from './segment-failure.ts';
import { columnDefinitions, fieldIds, fileColumns, SYSTEM_COLUMNS } from './segment-schema.ts';

/** Rows of a segment at most. */
export const segmentRowsMax: number = 1 << 20;
/** Rows of a row group: a look-up decodes one. With 8,192 it takes 2.5 ms, with 65,536 6.5 ms; the file is as large with either. */
const ROW_GROUP_ROWS = 8192;
/** zstd's own default is 3; level 1 is a third faster and a few percent larger. */
const ZSTD_LEVEL = 1;
const TABLE = 'rows_of_a_segment';

/** What is to be written, and where. */
export interface SegmentTarget {
  readonly files: FileSystem;
  /** A folder of this machine, which the instance of DuckDB may write to. */
  readonly directory: string;
  readonly number: number;
  readonly layout: SegmentLayout;
  readonly createdAtMillis: number;
}

/** A segment whose files are complete and on the disk, though perhaps not yet their names. */
export interface WrittenSegment {
  readonly segment: Segment;
  /** Of all rows, in the order of the file. */
  readonly keys: PackedKeys;
  /** Where the Parquet file and the bloom filter lie now. */
  readonly path: string;
  readonly bloomPath: string;
}

/** The names of a segment's objects below the partition's folder. */
export function segmentNames(number: number): { readonly path: string; readonly bloomPath: string } {
  return { path: `batch-${number}.parquet`, bloomPath: `batch-${number}.bloom` };
}

/**
 * Writes one segment: `add` rows in key order, then `finish`; `discard` whenever that fails or is not wanted. The file is Parquet:
 * zstd, row groups of 8,192 rows, the columns of the layout under their names with their ids as field ids, then `_seq`, `_created_seq` and
 * `_deleted`. DuckDB holds the rows in memory until `finish`. Not for use by two at once. Rejects with SEGMENT_WRITE_FAILED.
 */
export class SegmentWriter {
  readonly #target: SegmentTarget;
  readonly #connection: DuckDBConnection;
  readonly #appender: DuckDBAppender;
  readonly #chunks: ChunkAppender;
  readonly #stats: readonly StatsCollector[];
  readonly #keys = new KeyPacker();
  readonly #path: string;
  readonly #bloomPath: string;
  #tombstones = 0;
  #minSeq = 0n;
  #maxSeq = 0n;
  #closed = false;

  private constructor(target: SegmentTarget, { connection, appender, chunks }: OpenTable) {
    const { layout, directory, number } = target;
    const { path, bloomPath } = segmentNames(number);
    this.#target = target;
    this.#connection = connection;
    this.#appender = appender;
    this.#chunks = chunks;
    this.#stats = layout.columns.map(({ type }) => new StatsCollector(type));
    this.#path = `${directory}/${path}`;
    this.#bloomPath = `${directory}/${bloomPath}`;
  }

  static async open({ db, instance }: OpenDuckDb, target: SegmentTarget): Promise<SegmentWriter> {
    const connection = await instance.connect();
    try {
      // In a transaction, which is never committed: that would be done for every chunk otherwise.
      await connection.run(`BEGIN TRANSACTION; CREATE TEMP TABLE ${TABLE} (${columnDefinitions(target.layout)})`);
      const appender = await connection.createAppender(TABLE, null, 'temp');
      const types = [...target.layout.columns, ...SYSTEM_COLUMNS].map(({ type }) => type);
      const chunks = new ChunkAppender({ db, bindings: await loadVectorBindings() }, appender, types);
      return new SegmentWriter(target, { connection, appender, chunks });
    } catch (error) {
      connection.closeSync();
      throw writeFailure(error, segmentNames(target.number).path);
    }
  }

  /** Rows so far. */
  get rows(): number {
    return this.#keys.count;
  }

  /** Takes rows whose keys come after those of the rows before. Throws INTERNAL_ERROR otherwise, and for too many rows. */
  add(rows: Iterable<SegmentRow>): void {
    try {
      for (const row of rows) this.#put(row);
    } catch (error) {
      throw writeFailure(error, this.#path);
    }
  }

  /** Writes the files. There must be a row. Closes the writer, also when it fails. */
  async finish(): Promise<WrittenSegment> {
    const { files, number, layout, createdAtMillis } = this.#target;
    try {
      const keys = this.#keys.finish();
      const rows = keys.length;
      if (rows === 0) throw kalamError('INTERNAL_ERROR', { reason: 'a segment without rows' });
      await this.#copy();
      const { bytes, checksum } = await sumFile(files, this.#path, { sync: true });
      const bloom = encodeBloom(keys, rows);
      await writeNewFile(files, this.#bloomPath, bloom);
      const names = segmentNames(number);
      const stats = new Map<number, ColumnStats>();
      for (const [index, { id }] of layout.columns.entries()) stats.set(id, this.#stats[index]?.finish() ?? { nulls: 0 });
      const segment: Segment = {
        number,
        path: names.path,
        schemaVersion: layout.schemaVersion,
        rows,
        tombstones: this.#tombstones,
        bytes,
        memoryBytes: this.#chunks.bytes,
        checksum,
        minSeq: this.#minSeq,
        maxSeq: this.#maxSeq,
        minKey: keys.keyAt(0),
        maxKey: keys.keyAt(rows - 1),
        createdAtMillis,
        stats,
        bloom: { path: names.bloomPath, bytes: bloom.length, checksum: crc32c(bloom) },
        masked: noRows,
        maskedTombstones: 0,
      };
      return { segment, keys, path: this.#path, bloomPath: this.#bloomPath };
    } catch (error) {
      throw writeFailure(error, this.#path);
    } finally {
      this.#close();
    }
  }

  /** Gives up: nothing is left of the segment. */
  async discard(): Promise<void> {
    this.#close();
    await removeIfThere(this.#target.files, this.#path);
    await removeIfThere(this.#target.files, this.#bloomPath);
  }

  #put(row: SegmentRow): void {
    if (this.#keys.count >= segmentRowsMax) throw kalamError('INTERNAL_ERROR', { reason: `more than ${segmentRowsMax} rows in a segment` });
    this.#keys.add(row.key);
    const { columns, rows: at } = this.#chunks;
    const users = this.#stats.length;
    for (let index = 0; index < users; index += 1) {
      const cell = row.cells[index] ?? null;
      this.#stats[index]?.add(cell);
      putCell(columns[index], at, cell);
    }
    putCell(columns[users], at, row.seq);
    putCell(columns[users + 1], at, row.createdSeq);
    putCell(columns[users + 2], at, row.deleted);
    if (row.deleted) this.#tombstones += 1;
    if (this.#keys.count === 1 || row.seq < this.#minSeq) this.#minSeq = row.seq;
    if (row.seq > this.#maxSeq) this.#maxSeq = row.seq;
    if (this.#chunks.added()) this.#chunks.flush();
  }

  async #copy(): Promise<void> {
    this.#chunks.flush();
    this.#appender.flushSync();
    const { files, layout } = this.#target;
    await removeIfThere(files, this.#path);
    const options = [
      'FORMAT PARQUET',
      'COMPRESSION ZSTD',
      `COMPRESSION_LEVEL ${ZSTD_LEVEL}`,
      `ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`,
      `FIELD_IDS ${fieldIds(layout)}`,
      // The bloom filter over whole keys lies beside the file.
      'WRITE_BLOOM_FILTER false',
      'USE_TMP_FILE false',
    ];
    await this.#connection.run(
      `COPY (SELECT ${fileColumns(layout)} FROM temp.main.${TABLE}) TO ${textLiteral(this.#path)} (${options.join(', ')})`,
    );
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#appender.closeSync();
    } catch {
      // After a failure it refuses its rows, which are not needed then.
    }
    this.#connection.closeSync();
  }
}

interface OpenTable {
  readonly connection: DuckDBConnection;
  readonly appender: DuckDBAppender;
  readonly chunks: ChunkAppender;
}

function putCell(column: ColumnBuffer | undefined, row: number, cell: Cell): void {
  if (cell === null) column?.putNull(row);
  else column?.putCell(row, cell);
}

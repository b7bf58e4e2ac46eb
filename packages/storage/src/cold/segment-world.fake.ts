import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cell, encodeKeyCells, kalamError, type NonNullCell } from '@kalamdb/protocol';
import { loadDuckDb, type OpenDuckDb, openInstance } from '../columns/duckdb.ts';
import type { RowKey } from '../contract.ts';
import { systemFiles } from '../files/file-system.ts';
import type { ColdRow, LocalFile, Segment, SegmentLayout, SegmentRow } from './contract.ts';
import { SegmentReader } from './segment-reader.ts';
import { SegmentWriter, type WrittenSegment } from './segment-writer.ts';

const MEMORY_BYTES_MAX = 512 * 1024 * 1024;
const CREATED_AT_MILLIS = 1_700_000_000_000;

/** A folder of its own, an instance of DuckDB that reaches it, and what is needed to write and read segments there. */
export class SegmentWorld {
  readonly directory: string;
  readonly db: OpenDuckDb;
  readonly reader: SegmentReader;
  #number = 0;

  private constructor(directory: string, db: OpenDuckDb) {
    this.directory = directory;
    this.db = db;
    this.reader = new SegmentReader(db, { memoryBytesMax: MEMORY_BYTES_MAX });
  }

  static async open(): Promise<SegmentWorld> {
    const directory = await mkdtemp(join(tmpdir(), 'segments [a-z]*?=x-'));
    const db = await loadDuckDb();
    const instance = await openInstance(db, { memoryBytesMax: MEMORY_BYTES_MAX, threads: 4, directories: [directory] });
    return new SegmentWorld(directory, { db, instance });
  }

  async write(layout: SegmentLayout, rows: Iterable<SegmentRow>): Promise<WrittenSegment> {
    const number = this.#number;
    this.#number += 1;
    const target = { files: systemFiles, directory: this.directory, number, layout, createdAtMillis: CREATED_AT_MILLIS };
    const writer = await SegmentWriter.open(this.db, target);
    writer.add(rows);
    return writer.finish();
  }

  file({ path }: Segment): LocalFile {
    return { path: join(this.directory, path), close: () => undefined };
  }

  async scan(segment: Segment, layout: SegmentLayout, scan: Parameters<SegmentReader['scan']>[3] = {}): Promise<ColdRow[]> {
    const found: ColdRow[] = [];
    for await (const rows of this.reader.scan(this.file(segment), segment, layout, scan)) found.push(...rows);
    return found;
  }

  async close(): Promise<void> {
    this.db.instance.closeSync();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The key of the cells of a row. */
export function keyOf(layout: SegmentLayout, cells: readonly Cell[], seq: bigint): RowKey {
  const key = layout.keyIndexes.map((index) => cells[index] ?? null);
  const types = layout.keyIndexes.map((index) => layout.columns[index]?.type ?? { kind: 'bigint' as const });
  if (key.some((cell) => cell === null)) throw kalamError('INTERNAL_ERROR', { reason: 'a key cell of a test is NULL' });
  if (key.length === 0) return encodeKeyCells([seq], [{ kind: 'bigint' }]) as RowKey;
  return encodeKeyCells(key as NonNullCell[], types) as RowKey;
}

/** Rows of these cells, numbered from 1,000, in key order and without repeated keys. */
export function rowsOf(layout: SegmentLayout, cells: Iterable<readonly Cell[]>): SegmentRow[] {
  const rows = new Map<RowKey, SegmentRow>();
  let seq = 1000n;
  for (const row of cells) {
    const key = keyOf(layout, row, seq);
    rows.set(key, { key, seq, createdSeq: seq - (seq % 3n), deleted: seq % 7n === 0n, cells: row });
    seq += 1n;
  }
  return [...rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

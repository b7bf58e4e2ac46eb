import type { DuckDBResult } from '@duckdb/node-api';
import { type Cell, kalamError } from '@kalamdb/protocol';
import type { DuckDb } from '@kalamdb/storage';
import type { ResultColumn } from '../../contract.ts';
import type { Steps } from '../../slices/steps.ts';
import { ChunkWriter } from '../row-chunks.ts';
import type { SentQuery } from './query-messages.ts';
import { type Items, itemsOf, type ResultReader, resultReader } from './result-cells.ts';

/** Bytes of rows that are made between two looks at who asks for them; the row that passes it is still in. */
const BATCH_BYTES_MAX = 256 * 1024;
/** Rows that are read between two steps. */
const STEP_ROWS = 64;

/** Some rows of an answer. */
export interface AnswerBatch {
  readonly chunks: readonly Uint8Array[];
  /** Characters and bytes of the texts in them. */
  readonly units: number;
  /** There are no more. */
  readonly last: boolean;
}

/** Reads a result of DuckDB in batches of rows that can be sent, no further than it is asked. */
export class AnswerBatches {
  readonly columns: readonly ResultColumn[];
  readonly #db: DuckDb;
  readonly #result: DuckDBResult;
  readonly #readers: readonly ResultReader[];
  #rowsLeft: number;
  /** The piece that is being read. */
  #vectors: readonly Items[] = [];
  #rows = 0;
  #at = 0;
  #units = 0;
  #isRead = false;

  constructor(db: DuckDb, result: DuckDBResult, { outputs, rowsMax, columnsOnly }: SentQuery) {
    const types = result.columnTypes();
    this.#db = db;
    this.#result = result;
    this.#rowsLeft = columnsOnly ? 0 : (rowsMax ?? Number.POSITIVE_INFINITY);
    this.#readers = result.columnNames().map((name, index) => {
      const type = types[index];
      if (type === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a result column without a type' });
      return resultReader(db, { name, type }, outputs?.[index]);
    });
    this.columns = this.#readers.map(({ column }) => column);
  }

  /** The next rows; `run` does work in stretches. Throws what DuckDB throws, VALUE_OUT_OF_RANGE and QUERY_TOO_LARGE. */
  async next(run: (steps: Steps<void>) => Promise<void>): Promise<AnswerBatch> {
    const writer = new ChunkWriter();
    this.#units = 0;
    while (this.#rowsLeft > 0 && writer.readyBytes < BATCH_BYTES_MAX) {
      if (this.#at >= this.#rows && !(await this.#fetch())) this.#rowsLeft = 0;
      await run(this.#take(writer));
    }
    return { chunks: writer.take(), units: this.#units, last: this.#rowsLeft <= 0 };
  }

  /**
   * Lets DuckDB forget the rows that nobody reads: a result that was not read to its end keeps its connection, with all tables and
   * memory of the query, until the object is collected. `interrupt` brings the end near.
   */
  async end(interrupt: () => void): Promise<void> {
    try {
      while (!this.#isRead) {
        interrupt();
        await this.#fetch();
      }
    } catch {
      // That is how it ends.
    }
  }

  async #fetch(): Promise<boolean> {
    const chunk = await this.#result.fetchChunk();
    this.#at = 0;
    this.#rows = chunk?.rowCount ?? 0;
    this.#isRead = this.#rows === 0;
    // The piece behind the last one has no rows, and no columns either.
    if (chunk === null || this.#rows === 0) return false;
    this.#vectors = this.#readers.map((_, index) => itemsOf(this.#db, chunk.getColumnVector(index)));
    return true;
  }

  *#take(writer: ChunkWriter): Steps<void> {
    let left = STEP_ROWS;
    while (this.#at < this.#rows && this.#rowsLeft > 0 && writer.readyBytes < BATCH_BYTES_MAX) {
      const at = this.#at;
      writer.add(this.#readers.map((reader, index) => this.#cell(reader, this.#vectors[index]?.getItem(at) ?? null)));
      this.#at += 1;
      this.#rowsLeft -= 1;
      if (--left > 0) continue;
      left = STEP_ROWS;
      yield;
    }
  }

  #cell(reader: ResultReader, value: ReturnType<Items['getItem']>): Cell {
    if (value === null) return null;
    const cell = reader.read(value);
    if (typeof cell === 'string') this.#units += cell.length;
    else if (typeof cell === 'object' && cell !== null) this.#units += cell.byteLength;
    return cell;
  }
}

import { type Cell, RowSpans, rowSchemaVersion, sameType } from '@kalamdb/protocol';
import type { InputRow } from '@kalamdb/sql';
import type { ColumnBuffer, StoredRow } from '@kalamdb/storage';
import type { StoredColumn, Table } from '../../catalog/table.ts';
import { MASK } from '../mask.ts';
import type { SourceColumn } from './query-messages.ts';

/** How the columns that a query names are found in the rows of one schema version. */
interface Version {
  readonly spans: RowSpans;
  /** For each named column its place among the spans; -1: its rows have none, and read {@link fills}. */
  readonly places: Int32Array;
  readonly fills: readonly Cell[];
}

/** Puts rows of a partition into buffers, a column each, as their reader may see them. */
export class RowPutter {
  readonly #table: Table;
  readonly #columns: readonly SourceColumn[];
  readonly #buffers: readonly ColumnBuffer[];
  /** By schema version; `undefined`: its rows are decoded. */
  readonly #versions = new Map<number, Version | undefined>();

  constructor(table: Table, columns: readonly SourceColumn[], buffers: readonly ColumnBuffer[]) {
    this.#table = table;
    this.#columns = columns;
    this.#buffers = buffers;
  }

  /** Puts a row as it is stored, of any version of the table: bytes go where they are wanted, without a value for each. */
  putStored({ bytes, seq, deleted }: StoredRow, at: number): void {
    const version = this.#version(rowSchemaVersion(bytes));
    if (version === undefined) {
      this.putRow({ cells: this.#table.codec.decode(bytes), seq, deleted }, at);
      return;
    }
    const { spans, places, fills } = version;
    spans.find(bytes);
    for (let index = 0; index < places.length; index += 1) {
      const buffer = this.#buffers[index];
      const column = this.#columns[index];
      if (buffer === undefined || column === undefined) continue;
      const { place } = column;
      if (typeof place !== 'number') {
        buffer.putCell(at, place === '_seq' ? seq : deleted);
        continue;
      }
      const span = places[index] ?? -1;
      const start = spans.starts[span] ?? -1;
      if (span < 0) putCell({ buffer, column }, fills[index] ?? null, at);
      else if (start < 0) buffer.putNull(at);
      else if (column.masked) putMasked({ buffer, column }, at);
      else buffer.putRaw(at, bytes, start, spans.ends[span] ?? start);
    }
  }

  /** Puts a decoded row of the table's version. */
  putRow({ cells, seq, deleted }: InputRow, at: number): void {
    for (const [index, column] of this.#columns.entries()) {
      const buffer = this.#buffers[index];
      if (buffer === undefined) continue;
      const { place } = column;
      putCell({ buffer, column }, typeof place === 'number' ? (cells[place] ?? null) : place === '_seq' ? seq : deleted, at);
    }
  }

  #version(number: number): Version | undefined {
    const known = this.#versions.get(number);
    if (known !== undefined || this.#versions.has(number)) return known;
    const { version, storedColumns, spec } = this.#table;
    const columns = number === version ? storedColumns : spec.olderVersions?.get(number);
    const found = columns === undefined ? undefined : this.#layout(number, columns);
    this.#versions.set(number, found);
    return found;
  }

  /** `undefined` when a column had another type then. */
  #layout(version: number, columns: readonly StoredColumn[]): Version | undefined {
    const chosen: number[] = [];
    const fills: Cell[] = [];
    const places = new Int32Array(this.#columns.length).fill(-1);
    for (const [index, { place }] of this.#columns.entries()) {
      const column = typeof place === 'number' ? this.#table.storedColumns[place] : undefined;
      const then = column === undefined ? -1 : columns.findIndex(({ id }) => id === column.id);
      const type = columns[then]?.type;
      fills.push(column?.fill ?? null);
      if (column === undefined || type === undefined) continue;
      if (!sameType(type, column.type)) return undefined;
      places[index] = chosen.push(then) - 1;
    }
    return { spans: new RowSpans(version, columns, chosen), places, fills };
  }
}

interface Target {
  readonly buffer: ColumnBuffer;
  readonly column: SourceColumn;
}

/** Puts one cell, masked if its reader may not see it. */
export function putCell({ buffer, column }: Target, cell: Cell, at: number): void {
  if (cell === null) buffer.putNull(at);
  else if (column.masked) putMasked({ buffer, column }, at);
  else buffer.putCell(at, cell);
}

/** As `maskedCell` has it, but where the column's type has no such text. */
function putMasked({ buffer, column: { type } }: Target, at: number): void {
  if (type.kind === 'text' || type.kind === 'json' || type.kind === 'file') buffer.putCell(at, MASK);
  else buffer.putNull(at);
}

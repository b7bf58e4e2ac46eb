import { type Cell, cellsEqual, jsonCellWriter, jsonString, type Row } from '@kalamdb/protocol';
import type { ColumnInfo, SubscriptionPlan, TableInfo } from '@kalamdb/sql';
import type { ResultColumn, RowVersion } from '../contract.ts';

interface EncodedColumn {
  readonly id: number;
  /** Position in a row's cells. */
  readonly index: number;
  /** `"name":` */
  readonly prefix: string;
  readonly write: (cell: Cell) => string;
}

/** What an encoder depends on: queries that differ in their filters only share one. */
export type EncodedPlan = Pick<SubscriptionPlan, 'table' | 'projection' | 'star'>;

/** By table version, then by projection. */
const encoders = new WeakMap<TableInfo, Map<string, RowEncoder>>();

/** The encoder of a plan's frames, shared by all plans with its table version and projection. */
export function rowEncoderOf(plan: EncodedPlan): RowEncoder {
  let ofTable = encoders.get(plan.table);
  if (ofTable === undefined) {
    ofTable = new Map();
    encoders.set(plan.table, ofTable);
  }
  const projection = plan.star ? '*' : plan.projection.map(({ id }) => id).join();
  let encoder = ofTable.get(projection);
  if (encoder === undefined) {
    encoder = new RowEncoder(plan);
    ofTable.set(projection, encoder);
  }
  return encoder;
}

/**
 * Writes the rows of one plan as JSON, with the columns that each frame carries (wire-protocol 4.6):
 *
 * | frame | `SELECT *` | projection |
 * |---|---|---|
 * | batch, insert | every column, `_seq`, `_deleted` | projected, `_seq` |
 * | update `rows` | key, every column that is not NULL, `_seq` | key, projected that are not NULL, `_seq` |
 * | update `old_values` | key, changed columns, previous `_seq` | key, changed projected, previous `_seq` |
 * | delete `old_values` | every column, new `_seq`, `_deleted` | projected, new `_seq` |
 * | delete found by coalesced catch-up | key, `_seq` | key, `_seq` |
 * | delete of a stream event | `row_id` = `owner:_seq` of the event | the same |
 *
 * Every method throws what the cell writers throw for a cell that JSON cannot hold.
 */
export class RowEncoder {
  /** The columns that the acknowledgement names. */
  readonly schema: readonly ResultColumn[];
  readonly #star: boolean;
  readonly #columns: readonly EncodedColumn[];
  readonly #keys: readonly EncodedColumn[];
  /** The columns of an update: the key, then the projected ones that are not in it. */
  readonly #keysAndColumns: readonly EncodedColumn[];

  constructor(plan: EncodedPlan) {
    const stored = storedColumns(plan.table);
    const projected = new Set(plan.projection.map(({ id }) => id));
    this.#star = plan.star && plan.table.columns.some(({ system }) => system === '_deleted');
    this.#columns = plan.star ? stored : stored.filter(({ id }) => projected.has(id));
    const keyIds = new Set(plan.table.columns.filter(({ primaryKey }) => primaryKey).map(({ id }) => id));
    this.#keys = stored.filter(({ id }) => keyIds.has(id));
    this.#keysAndColumns = [...this.#keys, ...this.#columns.filter(({ id }) => !keyIds.has(id))];
    this.schema = (plan.star ? plan.table.columns : plan.projection).map(resultColumn);
  }

  /** A whole row as an object. */
  row(row: Pick<RowVersion, 'cells' | 'seq' | 'deleted'>): string {
    let text = '{';
    for (const { prefix, index, write } of this.#columns) text += `${prefix}${write(row.cells[index] ?? null)},`;
    return `${text}"_seq":"${row.seq}"${this.#star ? `,"_deleted":${row.deleted}}` : '}'}`;
  }

  insert(row: RowVersion): string {
    return `"change_type":"insert","rows":[${this.row(row)}]`;
  }

  update(row: RowVersion, previous: RowVersion): string {
    let rows = '{';
    let old = '{';
    const keys = this.#keys.length;
    for (const [position, { prefix, index, write }] of this.#keysAndColumns.entries()) {
      const cell = row.cells[index] ?? null;
      const before = previous.cells[index] ?? null;
      if (cell !== null) rows += `${prefix}${write(cell)},`;
      if (position < keys || !cellsEqual(cell, before)) old += `${prefix}${write(before)},`;
    }
    return `"change_type":"update","rows":[${rows}"_seq":"${row.seq}"}],"old_values":[${old}"_seq":"${previous.seq}"}]`;
  }

  /** A delete whose client had these cells. */
  delete(cells: Row, seq: bigint): string {
    return `"change_type":"delete","old_values":[${this.row({ cells, seq, deleted: true })}]`;
  }

  /** A delete of which only the key is sure: what the client had may be older than any cells known here. */
  removal(row: RowVersion): string {
    let text = '{';
    for (const { prefix, index, write } of this.#keys) text += `${prefix}${write(row.cells[index] ?? null)},`;
    return `"change_type":"delete","old_values":[${text}"_seq":"${row.seq}"}]`;
  }

  /** A delete of a stream event, named by the `_seq` that the event had. */
  eventRemoval(owner: string, eventSeq: bigint): string {
    return `"change_type":"delete","old_values":[{"row_id":${jsonString(`${owner}:${eventSeq}`)}}]`;
  }
}

function storedColumns(table: TableInfo): EncodedColumn[] {
  return table.columns
    .filter(({ system }) => system === undefined)
    .map(({ id, name, type }, index) => ({ id, index, prefix: `${jsonString(name)}:`, write: jsonCellWriter(type) }));
}

function resultColumn({ name, type, primaryKey, nullable }: ColumnInfo): ResultColumn {
  const flags: ResultColumn['flags'] = primaryKey ? ['pk', 'nn', 'uq'] : nullable ? [] : ['nn'];
  return { name, type, flags };
}

import {
  type Cell,
  type DataType,
  encodeKeyCells,
  kalamError,
  type NonNullCell,
  plainType,
  type Row,
  type RowCodec,
  rowCodec,
  rowSchemaVersion,
} from '@kalamdb/protocol';
import type { AccessLevel, ColumnInfo, TableInfo, TableKind, TableOptions, VectorMetric } from '@kalamdb/sql';
import type { PartitionId, RowKey, SegmentLayout } from '@kalamdb/storage';
import type { RowLayout } from '../partition/row-layout.ts';

/** First id of tables that users make; smaller ones belong to system tables with compiled schemas. */
export const FIRST_USER_TABLE_ID = 1000;

/** A column with what only the catalog shows. */
export interface TableColumn extends ColumnInfo {
  /** 1-based place in the table as DESCRIBE shows it; not renumbered when a column is dropped. */
  readonly ordinal: number;
  readonly comment: string | undefined;
  readonly fill?: ColumnFill;
  /** Set while the column has a vector index. */
  readonly vectorIndex?: VectorMetric | undefined;
}

/** A column as far as decoding a row needs it. */
export interface StoredColumn {
  readonly id: number;
  readonly type: DataType;
}

/** What rows read that were written before a column was added to their table; NULL unless said. */
export type ColumnFill = Exclude<Cell, null> | undefined;

/**
 * One version of a table's schema, immutable: a change makes a new object with a higher `version` and the same `id`.
 * Whoever keeps one may compare by identity to learn whether the schema has changed.
 */
export interface Table extends TableInfo, RowLayout {
  readonly id: number;
  readonly kind: TableKind | 'system';
  readonly columns: readonly TableColumn[];
  /**
   * What a row holds, in cell order. The visible ones come first, so position i of `columns` is cell i; a system table may
   * store more at the end, which no statement can name.
   */
  readonly storedColumns: readonly TableColumn[];
  /** Positions in `storedColumns` that make the key; empty for streams without a key. */
  readonly keyIndexes: readonly number[];
  /** The key column when it is exactly one, else `undefined`: then a key cell does not name a row. */
  readonly keyColumn: ColumnInfo | undefined;
  /** Position of `keyColumn` in `storedColumns`; -1 without one. */
  readonly keyIndex: number;
  readonly options: TableOptions;
  /** Set on SHARED tables. */
  readonly accessLevel: AccessLevel | undefined;
  readonly comment: string | undefined;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
  /** The newest commit before the table came out of a backup; 0n when it did not. */
  readonly restoredSeq: bigint;
  /** What it was made from. */
  readonly spec: TableSpec;
  /** Encodes with this version; decodes any version up to this one into this version's columns. Throws CONFLICT for newer ones. */
  readonly codec: { encode(row: Row): Uint8Array; decode(bytes: Uint8Array): Row };
  /** How segments lay out rows of a version up to this one; of older ones only ids and types are known. Throws as the codec does. */
  segmentLayout(version: number): SegmentLayout;
  /** The cells of a row of a version up to this one as cells of this one. */
  upgraded(version: number, cells: Row): Row;
  /** The partition in which rows of `owner` lie: the owner's for USER and user-scoped STREAM tables, the only one otherwise. */
  partitionFor(owner: string): PartitionId;
  /** The key of a row; tables without a key use the row's `_seq`. */
  keyOf(cells: Row, seq: bigint): RowKey;
  /** The key made of cells given in the order of `keyIndexes`. */
  encodeKey(keyCells: readonly NonNullCell[]): RowKey;
}

/** What {@link createTable} needs to know: plain data that can be sent to another thread, where it makes the same table. */
export interface TableSpec {
  readonly id: number;
  readonly version: number;
  readonly namespace: string;
  readonly name: string;
  readonly kind: TableKind | 'system';
  readonly storedColumns: readonly TableColumn[];
  /** How many of `storedColumns`, at the end, no statement can name. */
  readonly hiddenColumns?: number | undefined;
  /** Positions of the key; default: the columns flagged `primaryKey`. */
  readonly keyIndexes?: readonly number[] | undefined;
  /** `_seq` and `_deleted`; absent on system tables. */
  readonly systemColumns: readonly TableColumn[];
  readonly options: TableOptions;
  readonly accessLevel?: AccessLevel | undefined;
  readonly comment?: string | undefined;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
  readonly restoredSeq?: bigint | undefined;
  /** The commit that made this version; absent for a table's first one. */
  readonly sinceSeq?: bigint | undefined;
  /** The stored columns of every older version, for rows that were written under it. */
  readonly olderVersions?: ReadonlyMap<number, readonly StoredColumn[]> | undefined;
}

/** Options of a table that sets none. */
export const NO_OPTIONS: TableOptions = {
  storageId: undefined,
  useUserStorage: undefined,
  flushPolicy: undefined,
  accessLevel: undefined,
  deletedRetentionHours: undefined,
  ttlSeconds: undefined,
  streamScope: undefined,
  ephemeral: undefined,
  maxBuffer: undefined,
};

const SEQ_KEY_TYPES: readonly DataType[] = [plainType('bigint')];

/** Makes a table version. */
export function createTable(spec: TableSpec): Table {
  const { storedColumns } = spec;
  const visible = spec.hiddenColumns === undefined ? storedColumns : storedColumns.slice(0, -spec.hiddenColumns);
  const keyIndexes = spec.keyIndexes ?? storedColumns.flatMap((column, index) => (column.primaryKey ? [index] : []));
  const keyTypes = keyIndexes.map((index) => columnAt(storedColumns, index).type);
  // A key that statements cannot name is no key to them.
  const single = keyIndexes.length === 1 ? (keyIndexes[0] ?? -1) : -1;
  const keyIndex = single < visible.length ? single : -1;
  const perOwner = spec.kind === 'user' || (spec.kind === 'stream' && spec.options.streamScope !== 'shared');
  const common: PartitionId = { tableId: spec.id, owner: '' };
  const codec = new VersionedCodec(spec.version, storedColumns, spec.olderVersions ?? new Map());
  const encodeKey = (cells: readonly NonNullCell[]): RowKey => encodeKeyCells(cells, keyTypes) as RowKey;
  return {
    id: spec.id,
    version: spec.version,
    namespace: spec.namespace,
    name: spec.name,
    kind: spec.kind,
    columns: [...visible, ...spec.systemColumns],
    storedColumns,
    keyIndexes,
    sinceSeq: spec.sinceSeq ?? 0n,
    keyColumn: keyIndex < 0 ? undefined : columnAt(storedColumns, keyIndex),
    keyIndex,
    options: spec.options,
    accessLevel: spec.accessLevel,
    comment: spec.comment,
    createdAtMicros: spec.createdAtMicros,
    updatedAtMicros: spec.updatedAtMicros,
    restoredSeq: spec.restoredSeq ?? 0n,
    spec,
    codec,
    segmentLayout: (version) =>
      segmentLayout(
        version,
        codec.columnsOf(version),
        keyIndexes.map((index) => columnAt(storedColumns, index).id),
      ),
    upgraded: (version, cells) => codec.upgraded(version, cells),
    partitionFor: (owner) => (perOwner ? { tableId: spec.id, owner } : common),
    keyOf: (cells, seq) => {
      if (keyIndexes.length === 0) return encodeKeyCells([seq], SEQ_KEY_TYPES) as RowKey;
      return encodeKey(keyIndexes.map((index) => keyCell(cells, index)));
    },
    encodeKey,
  };
}

function segmentLayout(
  schemaVersion: number,
  columns: readonly (StoredColumn & { readonly name?: string })[],
  keyIds: readonly number[],
): SegmentLayout {
  return {
    schemaVersion,
    columns: columns.map(({ id, type, name = '' }) => ({ id, type, name })),
    // The columns of the key are never dropped, but they may have stood elsewhere.
    keyIndexes: keyIds.map((keyId) => columns.findIndex(({ id }) => id === keyId)),
  };
}

function columnAt(columns: readonly TableColumn[], index: number): TableColumn {
  const column = columns[index];
  if (column === undefined) throw kalamError('INTERNAL_ERROR', { reason: `no column at ${index}` });
  return column;
}

function keyCell(cells: Row, index: number): NonNullCell {
  const cell = cells[index];
  if (cell === undefined || cell === null) throw kalamError('INTERNAL_ERROR', { reason: `key cell ${index} of a row is empty` });
  return cell;
}

interface OldVersion {
  readonly codec: RowCodec;
  readonly columns: readonly StoredColumn[];
  /** For each cell of the newest version how it is found in a row of this version. */
  readonly cells: readonly ((row: Row) => Cell)[];
}

/** Codecs are made when first used: most tables of a large catalog are not touched in a run. */
class VersionedCodec {
  readonly #version: number;
  readonly #columns: readonly TableColumn[];
  readonly #olderColumns: ReadonlyMap<number, readonly StoredColumn[]>;
  readonly #older = new Map<number, OldVersion>();
  #newest: RowCodec | undefined;

  constructor(version: number, columns: readonly TableColumn[], olderColumns: ReadonlyMap<number, readonly StoredColumn[]>) {
    this.#version = version;
    this.#columns = columns;
    this.#olderColumns = olderColumns;
  }

  encode(row: Row): Uint8Array {
    return this.#current().encode(row);
  }

  decode(bytes: Uint8Array): Row {
    const version = rowSchemaVersion(bytes);
    if (version === this.#version) return this.#current().decode(bytes);
    const { codec, cells } = this.#olderVersion(version);
    const row = codec.decode(bytes);
    return cells.map((cell) => cell(row));
  }

  upgraded(version: number, row: Row): Row {
    return version === this.#version ? row : this.#olderVersion(version).cells.map((cell) => cell(row));
  }

  columnsOf(version: number): readonly StoredColumn[] {
    if (version === this.#version) return this.#columns;
    return this.#olderVersion(version).columns;
  }

  #current(): RowCodec {
    this.#newest ??= rowCodec(this.#version, this.#columns);
    return this.#newest;
  }

  #olderVersion(version: number): OldVersion {
    const known = this.#older.get(version);
    if (known !== undefined) return known;
    if (version > this.#version) throw kalamError('CONFLICT', { reason: 'a table was altered while the statement read it' });
    const columns = this.#olderColumns.get(version);
    if (columns === undefined) throw kalamError('DAMAGED_DATA', { where: 'a row', reason: `its schema version ${version} is unknown` });
    const old = { codec: rowCodec(version, columns), columns, cells: this.#columns.map((column) => olderCell(column, columns)) };
    this.#older.set(version, old);
    return old;
  }
}

/** How a column is read from rows of an older version: by its id, whatever its name and place were, and widened to its type. */
function olderCell({ id, type, fill }: TableColumn, columns: readonly StoredColumn[]): (row: Row) => Cell {
  const place = columns.findIndex((column) => column.id === id);
  if (place < 0) return () => fill ?? null;
  if (type.kind !== 'bigint') return (row) => row[place] ?? null;
  return (row) => {
    const cell = row[place] ?? null;
    return typeof cell === 'number' ? BigInt(cell) : cell;
  };
}

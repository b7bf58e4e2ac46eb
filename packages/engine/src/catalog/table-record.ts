import { cellFromText, cellToText, fromWireType, plainType, type Row, type WireType, wireType } from '@kalamdb/protocol';
import type { AccessLevel, ColumnInfo, DefaultValue, TableKind, TableOptions, VectorMetric } from '@kalamdb/sql';
import type { CellReader } from './system-tables/cell-reader.ts';
import { createTable, type StoredColumn, type Table, type TableColumn } from './table.ts';
import { columnsJson, optionsJson } from './table-json.ts';

/** One version of a table as `system.schemas` keeps it. */
export interface TableRecord {
  /** Table id of the storage layer. */
  readonly tableId: number;
  readonly namespace: string;
  readonly name: string;
  readonly kind: TableKind;
  readonly version: number;
  readonly isLatest: boolean;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
  readonly comment: string | undefined;
  /** The columns that rows store, in cell order. */
  readonly columns: readonly TableColumn[];
  /** `_seq` and `_deleted`. */
  readonly systemColumns: readonly TableColumn[];
  /** The id that the next added column gets; ids are never given twice. */
  readonly nextColumnId: number;
  readonly options: TableOptions;
  readonly accessLevel: AccessLevel | undefined;
  /** Set when the table came out of a backup: the newest commit before. Its rows are older, and no cursor from then can be served. */
  readonly restoredSeq?: bigint | undefined;
}

/** The storage that tables lie in when they name none. */
export const DEFAULT_STORAGE = 'local';

/** What a new table is made of. */
interface NewTable {
  readonly tableId: number;
  readonly namespace: string;
  readonly name: string;
  readonly kind: TableKind;
  readonly columns: readonly Pick<ColumnInfo, 'name' | 'type' | 'nullable' | 'primaryKey' | 'default'>[];
  readonly options: TableOptions;
  readonly accessLevel: AccessLevel | undefined;
  readonly nowMicros: bigint;
}

/** Version 1 of a table: ids and ordinals count from 1, `_seq` and `_deleted` take the next two. */
export function newTableRecord(table: NewTable): TableRecord {
  const columns = table.columns.map((column, index): TableColumn => {
    const { name, type, nullable, primaryKey } = column;
    return {
      id: index + 1,
      name,
      type,
      nullable,
      primaryKey,
      default: column.default,
      system: undefined,
      ordinal: index + 1,
      comment: undefined,
    };
  });
  const place = columns.length + 1;
  const seq = { id: place, ordinal: place, name: '_seq', system: '_seq', type: plainType('bigint'), default: undefined } as const;
  const no = { kind: 'literal', literal: 'boolean', text: 'false' } as const;
  const deleted = {
    id: place + 1,
    ordinal: place + 1,
    name: '_deleted',
    system: '_deleted',
    type: plainType('boolean'),
    default: no,
  } as const;
  const common = { nullable: false, primaryKey: false };
  return {
    tableId: table.tableId,
    namespace: table.namespace,
    name: table.name,
    kind: table.kind,
    version: 1,
    isLatest: true,
    createdAtMicros: table.nowMicros,
    updatedAtMicros: table.nowMicros,
    comment: undefined,
    columns,
    systemColumns: [
      { ...seq, ...common, comment: 'Version of the row; rises with every commit' },
      { ...deleted, ...common, comment: 'Whether the row has been deleted' },
    ],
    nextColumnId: place + 2,
    options: table.options,
    accessLevel: table.accessLevel,
  };
}

/** `namespace:table`, the table's id in `system.schemas`. */
export function tableIdText(namespace: string, name: string): string {
  return `${namespace}:${name}`;
}

interface DefinedColumn {
  readonly id: number;
  readonly name: string;
  readonly type: WireType;
  readonly nullable: boolean;
  readonly key: boolean;
  readonly default: DefaultValue | null;
  readonly comment: string | null;
  readonly ordinal: number;
  /** Absent: none. */
  readonly fill?: string | undefined;
  readonly vector?: VectorMetric | undefined;
}

/**
 * The text of the hidden column `definition`, JSON: `{"columns":[…],"system":[…],"nextColumnId":5,"options":{…}}`; a column is
 * `{"id":1,"name":"id","type":"Int","nullable":false,"key":true,"default":null,"comment":null,"ordinal":1}`, its type in the
 * spelling of the wire, its default as the parser gave it; options that are not set are left out. A column may also have `"fill":"0"`, the
 * text of what rows read that were written before it was there, and `"vector":"cosine"`, its vector index.
 */
interface Definition {
  readonly columns: readonly DefinedColumn[];
  readonly system: readonly DefinedColumn[];
  readonly nextColumnId: number;
  readonly options: Partial<TableOptions>;
  /** Decimal; only of tables that came out of a backup. */
  readonly restoredSeq?: string | undefined;
}

function define(column: TableColumn): DefinedColumn {
  return {
    id: column.id,
    name: column.name,
    type: wireType(column.type),
    nullable: column.nullable,
    key: column.primaryKey,
    default: column.default ?? null,
    comment: column.comment ?? null,
    ordinal: column.ordinal,
    fill: column.fill === undefined ? undefined : cellToText(column.fill, column.type),
    vector: column.vectorIndex,
  };
}

function columnFrom(defined: DefinedColumn, system: boolean): TableColumn {
  const systemName = defined.name === '_seq' ? '_seq' : '_deleted';
  const type = fromWireType(defined.type);
  return {
    id: defined.id,
    name: defined.name,
    type,
    nullable: defined.nullable,
    primaryKey: defined.key,
    default: defined.default ?? undefined,
    system: system ? systemName : undefined,
    ordinal: defined.ordinal,
    comment: defined.comment ?? undefined,
    fill: defined.fill === undefined ? undefined : (cellFromText(defined.fill, type) ?? undefined),
    vectorIndex: defined.vector,
  };
}

/** The row of `system.schemas` for a record. */
export function tableRecordCells(record: TableRecord): Row {
  const definition: Definition = {
    columns: record.columns.map(define),
    system: record.systemColumns.map(define),
    nextColumnId: record.nextColumnId,
    options: record.options,
    restoredSeq: record.restoredSeq === undefined ? undefined : String(record.restoredSeq),
  };
  return [
    tableIdText(record.namespace, record.name),
    record.name,
    record.namespace,
    record.kind,
    record.createdAtMicros,
    record.version,
    columnsJson([...record.columns, ...record.systemColumns]),
    record.comment ?? null,
    record.updatedAtMicros,
    optionsJson(record),
    record.accessLevel ?? null,
    record.isLatest,
    record.options.storageId ?? DEFAULT_STORAGE,
    record.kind === 'user' ? (record.options.useUserStorage ?? false) : null,
    BigInt(record.tableId),
    JSON.stringify(definition),
  ];
}

const TABLE_KINDS: readonly TableKind[] = ['user', 'shared', 'stream'];
const ACCESS_LEVELS: readonly AccessLevel[] = ['public', 'private', 'restricted', 'dba'];

/** The record of a row of `system.schemas`; the inverse of {@link tableRecordCells}. */
export function readTableRecord(reader: CellReader): TableRecord {
  reader.skip();
  const name = reader.text();
  const namespace = reader.text();
  const kind = reader.oneOf(TABLE_KINDS);
  const createdAtMicros = reader.bigint();
  const version = reader.number();
  reader.skip();
  const comment = reader.textOrNone();
  const updatedAtMicros = reader.bigint();
  reader.skip();
  const level = reader.textOrNone();
  const isLatest = reader.boolean();
  reader.skip(2);
  const tableId = Number(reader.bigint());
  const definition = JSON.parse(reader.text()) as Definition;
  return {
    tableId,
    namespace,
    name,
    kind,
    version,
    isLatest,
    createdAtMicros,
    updatedAtMicros,
    comment,
    columns: definition.columns.map((column) => columnFrom(column, false)),
    systemColumns: definition.system.map((column) => columnFrom(column, true)),
    nextColumnId: definition.nextColumnId,
    options: readOptions(definition.options),
    accessLevel: ACCESS_LEVELS.find((known) => known === level),
    restoredSeq: definition.restoredSeq === undefined ? undefined : BigInt(definition.restoredSeq),
  };
}

function readOptions(stored: Partial<TableOptions>): TableOptions {
  return {
    storageId: stored.storageId,
    useUserStorage: stored.useUserStorage,
    flushPolicy:
      stored.flushPolicy === undefined ? undefined : { rows: stored.flushPolicy.rows, intervalSeconds: stored.flushPolicy.intervalSeconds },
    accessLevel: stored.accessLevel,
    deletedRetentionHours: stored.deletedRetentionHours,
    ttlSeconds: stored.ttlSeconds,
    streamScope: stored.streamScope,
    ephemeral: stored.ephemeral,
    maxBuffer: stored.maxBuffer,
  };
}

/** Builds the table of the newest version, which the commit `sinceSeq` made, able to read rows of the older ones. */
export function tableFromRecords(newest: TableRecord, older: readonly TableRecord[], sinceSeq: bigint): Table {
  const olderVersions = new Map<number, readonly StoredColumn[]>(older.map((record) => [record.version, record.columns]));
  return createTable({
    id: newest.tableId,
    version: newest.version,
    namespace: newest.namespace,
    name: newest.name,
    kind: newest.kind,
    storedColumns: newest.columns,
    systemColumns: newest.systemColumns,
    options: newest.options,
    accessLevel: newest.accessLevel,
    comment: newest.comment,
    createdAtMicros: newest.createdAtMicros,
    updatedAtMicros: newest.updatedAtMicros,
    restoredSeq: newest.restoredSeq,
    sinceSeq: older.length === 0 ? undefined : sinceSeq,
    olderVersions,
  });
}

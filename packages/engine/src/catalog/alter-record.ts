import { type Cell, type DataType, kalamError, sameType, sqlTypeName } from '@kalamdb/protocol';
import { type AlterOperation, checkDefault, type DefaultValue } from '@kalamdb/sql';
import type { TableColumn } from './table.ts';
import type { TableRecord } from './table-record.ts';

/** Columns that a table may ever have had: their ids are never given twice. */
const COLUMN_IDS_MAX = 10_000;

/** Columns that a table may have. */
export const TABLE_COLUMNS_MAX = 1000;
/** Versions that a table may have: each is kept, because there may be rows of it. */
const SCHEMA_VERSIONS_MAX = 10_000;
/** Columns of all versions of a table together. */
const VERSION_COLUMNS_MAX = 200_000;

/** What rows must be like for an alteration, beside what the catalog knows. */
export type RowCondition =
  | { readonly kind: 'none' }
  /** No row may be there. */
  | { readonly kind: 'empty'; readonly refusal: string }
  /** No row may hold NULL in the column at this place. */
  | { readonly kind: 'no-null'; readonly index: number; readonly refusal: string };

/** What ALTER TABLE comes to. */
export interface Alteration {
  /** As the answer names it, for example `ADD COLUMN c INT`. */
  readonly what: string;
  /** `undefined`: the table is like that already. */
  readonly changed: { readonly columns: TableRecord['columns']; readonly accessLevel: TableRecord['accessLevel'] } | undefined;
  readonly condition: RowCondition;
}

const NO_CONDITION: RowCondition = { kind: 'none' };

const refuse = (reason: string): Error => kalamError('INVALID_OPERATION', { reason });

/**
 * Works out one operation on the newest version of a table; nothing is read or written. `fill` evaluates a default once, for the
 * rows that are there. Throws INVALID_OPERATION with the texts of sql-dialect B10, and what a default that does not fit throws.
 */
export function alteration(record: TableRecord, operation: AlterOperation, fill: FillSource): Alteration {
  const found = alterationTo(record, operation, fill);
  const columns = found.changed?.columns.length ?? 0;
  if (columns > TABLE_COLUMNS_MAX) throw refuse(`A table can have at most ${TABLE_COLUMNS_MAX} columns`);
  const versions = record.version + 1;
  if (columns > 0 && (versions > SCHEMA_VERSIONS_MAX || versions * columns > VERSION_COLUMNS_MAX)) {
    throw refuse(`Table ${record.namespace}.${record.name} has been altered as often as a table of ${columns} columns can be`);
  }
  return found;
}

function alterationTo(record: TableRecord, operation: AlterOperation, fill: FillSource): Alteration {
  switch (operation.kind) {
    case 'add-column':
      return addColumn(record, operation, fill);
    case 'drop-column':
      return dropColumn(record, operation);
    case 'modify-column':
      return modifyColumn(record, operation);
    case 'set-nullable':
      return setNullable(record, operation);
    case 'set-default':
      return setDefault(record, operation);
    case 'rename-column':
      return renameColumn(record, operation);
    case 'set-access-level':
      return setAccessLevel(record, operation.accessLevel);
    case 'set-vector-index':
      return setVectorIndex(record, operation);
    default:
      return operation satisfies never;
  }
}

/** The cell that a default gives now. */
export type FillSource = (value: DefaultValue, type: DataType) => Cell;

type Operation<K extends AlterOperation['kind']> = Extract<AlterOperation, { kind: K }>;

const SYSTEM_NAMES: ReadonlySet<string> = new Set(['_seq', '_deleted', '_updated']);

/** The defaults that give every row of one moment the same value. */
const FIXED_FUNCTIONS: ReadonlySet<string> = new Set(['NOW', 'CURRENT_TIMESTAMP']);

function addColumn(record: TableRecord, { column, ifNotExists }: Operation<'add-column'>, fill: FillSource): Alteration {
  const { name, type, nullable, default: value } = column;
  const what = `ADD COLUMN ${name} ${sqlTypeName(type)}`;
  if (SYSTEM_NAMES.has(name)) throw refuse(`Cannot add column '${name}': reserved system column name`);
  if (record.columns.some((other) => other.name === name)) {
    if (ifNotExists) return { what, changed: undefined, condition: NO_CONDITION };
    throw refuse(`Column '${name}' already exists`);
  }
  if (record.nextColumnId > COLUMN_IDS_MAX) throw refuse(`A table can have had at most ${COLUMN_IDS_MAX} columns`);
  if (value !== undefined) checkDefault(value, type);
  const fixed = value !== undefined && (value.kind === 'literal' || FIXED_FUNCTIONS.has(value.name));
  const filled = nullable || !fixed ? null : fill(value, type);
  const ordinal = Math.max(...record.columns.map((other) => other.ordinal)) + 1;
  const added: TableColumn = {
    id: record.nextColumnId,
    name,
    type,
    nullable,
    primaryKey: false,
    default: value,
    system: undefined,
    ordinal,
    comment: undefined,
    fill: filled ?? undefined,
  };
  const condition: RowCondition = nullable || filled !== null ? NO_CONDITION : { kind: 'empty', refusal: needsDefault(name, value) };
  return { what, changed: { columns: [...record.columns, added], accessLevel: record.accessLevel }, condition };
}

function needsDefault(name: string, value: DefaultValue | undefined): string {
  if (value === undefined) return `Column '${name}' is NOT NULL and needs a DEFAULT`;
  return `Column '${name}' is NOT NULL and needs a DEFAULT that existing rows can share: a literal or NOW()`;
}

function dropColumn(record: TableRecord, { column: name, ifExists }: Operation<'drop-column'>): Alteration {
  const what = `DROP COLUMN ${name}`;
  if (SYSTEM_NAMES.has(name)) throw refuse(`Cannot drop column '${name}': system column cannot be modified`);
  const column = record.columns.find((other) => other.name === name);
  if (column === undefined && ifExists) return { what, changed: undefined, condition: NO_CONDITION };
  if (found(record, name).primaryKey) throw refuse(`Column '${name}' is a PRIMARY KEY and cannot be dropped`);
  const columns = record.columns.filter((other) => other !== column);
  return { what, changed: { columns, accessLevel: record.accessLevel }, condition: NO_CONDITION };
}

function modifyColumn(record: TableRecord, { column: name, type, nullable }: Operation<'modify-column'>): Alteration {
  const suffix = nullable === undefined ? '' : nullable ? ' NULL' : ' NOT NULL';
  const what = `MODIFY COLUMN ${name} ${sqlTypeName(type)}${suffix}`;
  if (SYSTEM_NAMES.has(name)) throw refuse(`Cannot modify column '${name}': system column cannot be altered`);
  const column = found(record, name);
  const sameNull = nullable === undefined || nullable === column.nullable;
  if (sameType(column.type, type) && sameNull) return { what, changed: undefined, condition: NO_CONDITION };
  if (column.primaryKey) throw refuse(`Column '${name}' is a PRIMARY KEY and cannot be ${nullable === true ? 'nullable' : 'modified'}`);
  if (!sameType(column.type, type) && !isWider(column.type, type)) {
    const kinds = 'SMALLINT to INT to BIGINT, FLOAT to DOUBLE, DECIMAL to a larger precision of the same scale';
    throw refuse(`Column '${name}' cannot change from ${sqlTypeName(column.type)} to ${sqlTypeName(type)}. Possible are: ${kinds}`);
  }
  if (column.default !== undefined) checkDefault(column.default, type);
  const fill = type.kind === 'bigint' && typeof column.fill === 'number' ? BigInt(column.fill) : column.fill;
  return replaced(record, column, { what, with: { type, fill, nullable: nullable ?? column.nullable } });
}

/** Whether every value of one type is one of the other, in a form that old rows can be read in. */
function isWider(from: DataType, to: DataType): boolean {
  if (from.kind === 'smallint') return to.kind === 'int' || to.kind === 'bigint';
  if (from.kind === 'int') return to.kind === 'bigint';
  if (from.kind === 'float') return to.kind === 'double';
  return from.kind === 'decimal' && to.kind === 'decimal' && from.scale === to.scale && from.precision <= to.precision;
}

function setNullable(record: TableRecord, { column: name, nullable }: Operation<'set-nullable'>): Alteration {
  const what = `ALTER COLUMN ${name} ${nullable ? 'DROP' : 'SET'} NOT NULL`;
  if (SYSTEM_NAMES.has(name)) throw refuse(`Cannot modify column '${name}': system column cannot be altered`);
  const column = found(record, name);
  if (column.primaryKey && nullable) throw refuse(`Column '${name}' is a PRIMARY KEY and cannot be nullable`);
  if (column.nullable === nullable) return { what, changed: undefined, condition: NO_CONDITION };
  return replaced(record, column, { what, with: { nullable } });
}

function setDefault(record: TableRecord, { column: name, default: value }: Operation<'set-default'>): Alteration {
  const what = `ALTER COLUMN ${name} ${value === undefined ? 'DROP DEFAULT' : `SET DEFAULT ${defaultText(value)}`}`;
  if (SYSTEM_NAMES.has(name)) throw refuse(`Cannot modify column '${name}': system column cannot be altered`);
  const column = found(record, name);
  if (value !== undefined) checkDefault(value, column.type);
  if (JSON.stringify(value) === JSON.stringify(column.default)) return { what, changed: undefined, condition: NO_CONDITION };
  return replaced(record, column, { what, with: { default: value } });
}

function defaultText(value: DefaultValue): string {
  if (value.kind === 'function') return `${value.name}()`;
  return value.literal === 'string' ? `'${value.text.replaceAll("'", "''")}'` : value.text;
}

function renameColumn(record: TableRecord, { column: name, to }: Operation<'rename-column'>): Alteration {
  const what = `RENAME COLUMN ${name} TO ${to}`;
  if (SYSTEM_NAMES.has(name)) throw refuse(`Cannot rename column '${name}': system column cannot be modified`);
  if (SYSTEM_NAMES.has(to)) throw refuse(`Cannot rename column '${name}' to '${to}': reserved system column name`);
  const column = found(record, name);
  if (record.columns.some((other) => other.name === to)) throw refuse(`Column '${to}' already exists`);
  return replaced(record, column, { what, with: { name: to } });
}

function setAccessLevel(record: TableRecord, accessLevel: NonNullable<TableRecord['accessLevel']>): Alteration {
  const what = `SET ACCESS LEVEL ${capitalised(accessLevel)}`;
  if (record.kind !== 'shared') throw refuse('ACCESS LEVEL can only be set on SHARED tables');
  if (record.accessLevel === accessLevel) return { what, changed: undefined, condition: NO_CONDITION };
  return { what, changed: { columns: record.columns, accessLevel }, condition: NO_CONDITION };
}

function setVectorIndex(record: TableRecord, { column: name, metric }: Operation<'set-vector-index'>): Alteration {
  const what = `${metric === undefined ? 'DROP' : 'CREATE'} VECTOR INDEX ${name}`;
  const column = found(record, name);
  if (column.type.kind !== 'embedding') throw refuse(`Column '${name}' is not EMBEDDING`);
  if (record.kind === 'stream') throw refuse('Vector indexing is only supported for USER/SHARED tables');
  if (column.vectorIndex === metric) return { what, changed: undefined, condition: NO_CONDITION };
  return replaced(record, column, { what, with: { vectorIndex: metric } });
}

/** The alteration that changes one column in its place; one that must not be NULL from now on must not be NULL anywhere. */
function replaced(
  record: TableRecord,
  column: TableColumn,
  { what, with: changes }: { readonly what: string; readonly with: Partial<TableColumn> },
): Alteration {
  const index = record.columns.indexOf(column);
  const tightened = column.nullable && changes.nullable === false;
  const refusal = `Column '${column.name}' holds NULL in existing rows and cannot be NOT NULL`;
  return {
    what,
    changed: { columns: record.columns.with(index, { ...column, ...changes }), accessLevel: record.accessLevel },
    condition: tightened ? { kind: 'no-null', index, refusal } : NO_CONDITION,
  };
}

function found(record: TableRecord, name: string): TableColumn {
  const column = record.columns.find((other) => other.name === name);
  if (column === undefined) throw refuse(`Column '${name}' does not exist`);
  return column;
}

function capitalised(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

/** The version that follows `record`; ids go on, and `_seq` and `_deleted` keep the last two places. */
export function nextRecord(record: TableRecord, changed: NonNullable<Alteration['changed']>, nowMicros: bigint): TableRecord {
  const { columns, accessLevel } = changed;
  const lastId = Math.max(record.nextColumnId - 1, ...columns.map(({ id }) => id));
  const lastOrdinal = Math.max(
    ...record.systemColumns.map(({ ordinal }) => ordinal - record.systemColumns.length),
    ...columns.map(({ ordinal }) => ordinal),
  );
  const systemColumns = record.systemColumns.map((column, index) => ({ ...column, ordinal: lastOrdinal + index + 1 }));
  return {
    ...record,
    version: record.version + 1,
    isLatest: true,
    updatedAtMicros: nowMicros,
    columns,
    systemColumns,
    nextColumnId: lastId + 1,
    accessLevel,
  };
}

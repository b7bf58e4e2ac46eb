import { kalamError, sqlTypeName } from '@kalamdb/protocol';
import { type AccessLevel, type ColumnDefinition, checkDefault, type Statement, type TableKind, type TableOptions } from '@kalamdb/sql';
import { hasRole } from '../access/grant.ts';
import { TABLE_COLUMNS_MAX } from '../catalog/alter-record.ts';
import { allocateTableId } from '../catalog/bootstrap.ts';
import { namespaceRepository } from '../catalog/system-tables/namespaces.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { tableRepository } from '../catalog/system-tables/schemas.ts';
import { newTableRecord, tableIdText } from '../catalog/table-record.ts';
import type { Role, StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';
import { checkName, checkNotSystem } from './object-name.ts';

/** Least role that may make a table of a kind. */
const CREATOR_ROLES: Readonly<Record<TableKind, Role>> = { user: 'user', stream: 'user', shared: 'service' };

type CreateTable = Extract<Statement, { kind: 'create-table' }>;

/** What a CREATE TABLE comes to once the kind is known. */
interface TableDefinition {
  readonly namespace: string;
  readonly name: string;
  readonly kind: TableKind;
  readonly columns: readonly ColumnDefinition[];
  readonly options: TableOptions;
  readonly accessLevel: AccessLevel | undefined;
}

/** `CREATE [USER|SHARED|STREAM] TABLE [IF NOT EXISTS] t (…)` (sql-dialect A5, B9). The checks come in the order of B9. */
export function createTable(statement: CreateTable, context: DdlContext): Promise<StatementResult> {
  const definition = defineTable(statement, context);
  const { kind, namespace, name } = definition;
  checkOptions(kind, statement.options);
  requireRole(context, CREATOR_ROLES[kind], `Insufficient privileges to create ${kind} tables`);
  checkNotSystem('create', namespace, name);
  checkNames(definition);
  checkKey(definition);
  return context.exclusive(async () => {
    const existing = context.catalog.table(namespace, name);
    if (context.catalog.view(namespace, name) !== undefined) throw kalamError('TABLE_EXISTS', { table: `${namespace}.${name}` });
    if (existing === undefined || !statement.ifNotExists) {
      await context.commit((writer) => writeTable(writer, definition, context));
    }
    const message = `CREATE TABLE via Raft consensus: ${existing?.kind ?? kind} table ${namespace}.${name} created successfully`;
    return messageResult(context, message);
  });
}

function defineTable(statement: CreateTable, context: DdlContext): TableDefinition {
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const kind = statement.tableKind ?? impliedKind(statement.options, namespace, context);
  const accessLevel = kind === 'shared' ? (statement.options.accessLevel ?? 'private') : undefined;
  const columns = statement.columns.map((column) => ({ ...column, name: column.name.toLowerCase() }));
  return { namespace, name: statement.table.name.toLowerCase(), kind, columns, options: statement.options, accessLevel };
}

/** The kind when the statement names none: a TTL makes a stream; whoever works in a namespace of the own name gets USER tables. */
function impliedKind(options: TableOptions, namespace: string, { principal }: DdlContext): TableKind {
  if (options.ttlSeconds !== undefined) return 'stream';
  const ownNamespace = namespace === principal.userId.toLowerCase();
  return ownNamespace && !hasRole(principal.role, 'dba') ? 'user' : 'shared';
}

function refuse(reason: string): never {
  throw kalamError('INVALID_CREATE_TABLE', { reason });
}

/** Options that do not go with the kind; the parser cannot know when the statement names no kind. */
function checkOptions(kind: TableKind, options: TableOptions): void {
  if (kind !== 'stream') {
    if (options.ttlSeconds !== undefined) refuse('TTL_SECONDS is only supported for STREAM tables');
    if (options.maxBuffer !== undefined || options.ephemeral !== undefined || options.streamScope !== undefined) {
      refuse('MAX_BUFFER, EPHEMERAL and SCOPE are only supported for STREAM tables');
    }
  } else if (options.ttlSeconds === undefined && options.maxBuffer === undefined && options.ephemeral !== true) {
    refuse("STREAM tables must specify 'TTL_SECONDS'");
  } else if (options.ttlSeconds !== undefined && options.ttlSeconds <= 0) refuse('TTL_SECONDS must be greater than 0');
  if (kind !== 'shared' && options.accessLevel !== undefined) refuse('ACCESS_LEVEL is only supported for SHARED tables');
  if (kind !== 'user' && options.useUserStorage !== undefined) refuse('USE_USER_STORAGE is only supported for USER tables');
}

function checkNames({ name, columns }: TableDefinition): void {
  checkName('table', name);
  if (columns.length === 0) refuse('Table must have at least one column');
  if (columns.length > TABLE_COLUMNS_MAX) refuse(`Table has ${columns.length} columns, more than ${TABLE_COLUMNS_MAX}`);
  const seen = new Set<string>();
  for (const column of columns) {
    checkName('column', column.name);
    if (seen.has(column.name)) {
      throw kalamError('NAME_REFUSED', { reason: `Duplicate column name '${column.name}'. Column names are case-insensitive.` });
    }
    seen.add(column.name);
    if (column.default !== undefined) checkDefault(column.default, column.type);
  }
}

function checkKey({ kind, columns }: TableDefinition): void {
  const keys = columns.filter(({ primaryKey }) => primaryKey);
  if (keys.length > 1) refuse('Composite PRIMARY KEYs are not supported yet');
  const key = keys[0];
  if (key === undefined) {
    if (kind === 'stream') return;
    throw kalamError('INVALID_OPERATION', { reason: `${kind === 'user' ? 'User' : 'Shared'} tables require a PRIMARY KEY column` });
  }
  if (key.type.kind === 'embedding' || key.type.kind === 'json' || key.type.kind === 'file') {
    refuse(`PRIMARY KEY column '${key.name}' cannot be of type ${sqlTypeName(key.type)}`);
  }
}

/** The turn: looks once more at what is there now, pending commits included. */
function writeTable(writer: SystemWriter, definition: TableDefinition, { catalog }: DdlContext): void {
  const { namespace, name, options } = definition;
  if (namespaceRepository.latest(writer, namespace) === undefined) throw kalamError('NAMESPACE_NOT_FOUND', { namespace });
  if (tableRepository.latest(writer, tableIdText(namespace, name), 1) !== undefined) {
    throw kalamError('TABLE_EXISTS', { table: `${namespace}.${name}` });
  }
  if (options.storageId !== undefined && catalog.storage(options.storageId) === undefined) {
    throw kalamError('INVALID_OPERATION', { reason: `Storage '${options.storageId}' does not exist` });
  }
  const columns = definition.columns.map((column) => ({ ...column, nullable: column.nullable && !column.primaryKey }));
  const tableId = allocateTableId(writer);
  tableRepository.put(writer, newTableRecord({ ...definition, columns, tableId, nowMicros: writer.nowMicros }));
}

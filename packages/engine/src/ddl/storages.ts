import { type Cell, kalamError, plainType } from '@kalamdb/protocol';
import type { Statement, StorageSettings } from '@kalamdb/sql';
import { SHARED_TABLES_TEMPLATE, USER_TABLES_TEMPLATE } from '../catalog/bootstrap.ts';
import { type StorageRecord, storageRepository } from '../catalog/system-tables/storages.ts';
import { DEFAULT_STORAGE } from '../catalog/table-record.ts';
import type { ResultColumn, StatementResult } from '../contract.ts';
import { checkTemplate } from '../stores/folder-template.ts';
import { checkLocation } from '../stores/storage-location.ts';
import { type DdlContext, messageResult, requireAdmin } from './ddl-context.ts';

/** Storages of one database. */
const STORAGES_MAX = 1_000;
const NAME_CHARS_MAX = 256;
const DESCRIPTION_CHARS_MAX = 4_096;
/** Characters of CREDENTIALS and of CONFIG. */
const JSON_CHARS_MAX = 65_536;
const STORAGE_ID = /^[a-z0-9_][a-z0-9_-]{0,63}$/;

type CreateStorage = Extract<Statement, { kind: 'create-storage' }>;

/** `CREATE STORAGE id TYPE t …` (sql-dialect B21). A storage that nothing can be written to is not made. */
export async function createStorage(statement: CreateStorage, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'create storages');
  const { name: storageId, ifNotExists, type, settings } = statement;
  if (!STORAGE_ID.test(storageId)) {
    throw kalamError('INVALID_NAME', { what: 'storage', name: storageId.slice(0, 64), reason: 'use letters, digits, _ and -, at most 64' });
  }
  const known = (): boolean => context.catalog.storage(storageId) !== undefined;
  if (known()) return answerKnown(ifNotExists, storageId, context);
  const record: Omit<StorageRecord, 'createdAtMicros' | 'updatedAtMicros'> = {
    storageId,
    name: checkText(settings.displayName ?? storageId, 'NAME', NAME_CHARS_MAX),
    description: settings.description === undefined ? undefined : checkText(settings.description, 'DESCRIPTION', DESCRIPTION_CHARS_MAX),
    type,
    baseDirectory: statement.location,
    credentials: jsonObject('CREDENTIALS', settings.credentials),
    config: withRegion(jsonObject('CONFIG', settings.config), statement.region),
    sharedTablesTemplate: settings.sharedTablesTemplate ?? SHARED_TABLES_TEMPLATE,
    userTablesTemplate: settings.userTablesTemplate ?? USER_TABLES_TEMPLATE,
  };
  const now = context.evaluation().nowMicros;
  const candidate = { ...record, createdAtMicros: now, updatedAtMicros: now };
  checkRecord(candidate, context);
  // Outside of the turn of DDL: a place that does not answer holds up nobody else.
  await checkConnection(candidate, context);
  return context.exclusive(async () => {
    if (known()) return answerKnown(ifNotExists, storageId, context);
    if (context.catalog.counts().storages >= STORAGES_MAX) throw refuse(`there are ${STORAGES_MAX} storages already`);
    await context.commit((writer) => {
      storageRepository.put(writer, { ...record, createdAtMicros: writer.nowMicros, updatedAtMicros: writer.nowMicros });
    });
    return messageResult(context, `Storage '${storageId}' created successfully`);
  });
}

/** `ALTER STORAGE id SET …`: what lies there stays where it is; templates are for partitions that have no segments yet. */
export function alterStorage(statement: Extract<Statement, { kind: 'alter-storage' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'alter storages');
  const { name: storageId, settings } = statement;
  return context.exclusive(async () => {
    const storage = context.catalog.storage(storageId);
    if (storage === undefined) throw refuse(`Storage '${storageId}' not found`);
    const altered = alteredRecord(storage, settings);
    checkRecord(altered, context);
    await context.commit((writer) => storageRepository.put(writer, { ...altered, updatedAtMicros: writer.nowMicros }));
    return messageResult(context, `Storage '${storageId}' altered successfully`);
  });
}

/** `DROP STORAGE [IF EXISTS] id`: refused while tables use it. Nothing that lies there is touched. */
export function dropStorage(statement: Extract<Statement, { kind: 'drop-storage' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'drop storages');
  const { name: storageId, ifExists } = statement;
  return context.exclusive(async () => {
    const storage = context.catalog.storage(storageId);
    if (storage === undefined) {
      if (ifExists) return messageResult(context, `Storage '${storageId}' does not exist (skipped)`);
      throw refuse(`Storage '${storageId}' not found`);
    }
    if (storageId === DEFAULT_STORAGE) throw refuse(`Cannot drop storage '${storageId}': it belongs to the server`);
    const users = usersOf(storageId, context);
    if (users > 0) throw refuse(`Cannot drop storage '${storageId}': ${users} table(s) still using it`);
    await context.commit((writer) => storageRepository.remove(writer, { ...storage, credentials: undefined }));
    await context.storages.drop(storageId);
    return messageResult(context, `Storage '${storageId}' dropped successfully`);
  });
}

const column = (name: string, type: 'text' | 'boolean' | 'bigint' | 'timestamp'): ResultColumn => ({
  name,
  type: plainType(type),
  flags: [],
});

const CHECK_COLUMNS: readonly ResultColumn[] = [
  column('storage_id', 'text'),
  column('status', 'text'),
  ...['readable', 'writable', 'listable', 'deletable'].map((name) => column(name, 'boolean')),
  ...['latency_ms', 'total_bytes', 'used_bytes'].map((name) => column(name, 'bigint')),
  column('error', 'text'),
  column('tested_at', 'timestamp'),
];

/** `STORAGE CHECK id [EXTENDED]`: what can be done there now. A storage that does not answer is an answer too, not an error. */
export async function checkStorageNow(
  { name: storageId, extended }: Extract<Statement, { kind: 'storage-check' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireAdmin(context, 'check storages');
  const check = await context.storages.check(storageId, { extended });
  const size = (bytes: number | undefined): Cell => (bytes === undefined ? null : BigInt(bytes));
  const row: readonly Cell[] = [
    storageId,
    check.status,
    ...[check.readable, check.writable, check.listable, check.deletable],
    ...[BigInt(check.latencyMillis), size(check.totalBytes), size(check.usedBytes)],
    check.error ?? null,
    context.evaluation().nowMicros,
  ];
  return { kind: 'rows', columns: CHECK_COLUMNS, rows: [row], asUser: context.principal.userId };
}

/** Tables that lie in a storage, and dropped ones whose files are still being removed from it. */
function usersOf(storageId: string, { catalog, cold }: DdlContext): number {
  const tables = [...catalog.tables()].filter(({ options }) => options.storageId === storageId);
  const dropped = catalog.droppedTables().filter(({ tableId }) => {
    const owners = cold?.manifests.owners(tableId) ?? [];
    return owners.some((owner) => cold?.flusher.read({ tableId, owner }).record?.storageId === storageId);
  });
  return tables.length + dropped.length;
}

function answerKnown(ifNotExists: boolean, storageId: string, context: DdlContext): StatementResult {
  if (ifNotExists) return messageResult(context, `Storage '${storageId}' already exists`);
  throw refuse(`Storage '${storageId}' already exists`);
}

function alteredRecord(storage: StorageRecord, settings: StorageSettings): StorageRecord {
  return {
    ...storage,
    name: checkText(settings.displayName ?? storage.name, 'NAME', NAME_CHARS_MAX),
    description:
      settings.description === undefined ? storage.description : checkText(settings.description, 'DESCRIPTION', DESCRIPTION_CHARS_MAX),
    credentials: jsonObject('CREDENTIALS', settings.credentials) ?? storage.credentials,
    config: jsonObject('CONFIG', settings.config) ?? storage.config,
    sharedTablesTemplate: settings.sharedTablesTemplate ?? storage.sharedTablesTemplate,
    userTablesTemplate: settings.userTablesTemplate ?? storage.userTablesTemplate,
  };
}

function checkRecord(record: StorageRecord, { storages }: DdlContext): void {
  checkTemplate('shared', record.sharedTablesTemplate);
  checkTemplate('user', record.userTablesTemplate);
  if (record.storageId !== DEFAULT_STORAGE) checkLocation(record, storages.directory);
}

async function checkConnection(record: StorageRecord, { storages }: DdlContext): Promise<void> {
  // The other types are known by name only.
  if (record.type !== 'filesystem' && record.type !== 's3') return;
  const { status, error = 'something else was read than was written' } = await storages.check(record.storageId, {
    extended: false,
    record,
  });
  if (status !== 'healthy') throw refuse(`Storage connectivity check failed: ${error}`);
}

function checkText(text: string, what: string, charsMax: number): string {
  if (text.trim() === '' && what === 'NAME') throw refuse('NAME of a storage cannot be empty');
  if (text.length > charsMax) throw refuse(`${what} of a storage holds at most ${charsMax} characters`);
  return text;
}

/** The texts say nothing of what was written: it may be a secret. */
function jsonObject(what: 'CREDENTIALS' | 'CONFIG', text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (text.length > JSON_CHARS_MAX) throw refuse(`${what} holds at most ${JSON_CHARS_MAX} characters`);
  const label = what === 'CREDENTIALS' ? 'Credentials' : what;
  const value = parseJson(text);
  if (value === undefined) throw refuse(`Invalid ${label === 'CONFIG' ? label : label.toLowerCase()} JSON`);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(`${label} must be a JSON object`);
  return JSON.stringify(value);
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

/** REGION is a member of CONFIG that has a clause of its own. */
function withRegion(config: string | undefined, region: string | undefined): string | undefined {
  if (region === undefined) return config;
  return JSON.stringify({ ...(config === undefined ? {} : JSON.parse(config)), region });
}

function refuse(reason: string): Error {
  return kalamError('INVALID_OPERATION', { reason });
}

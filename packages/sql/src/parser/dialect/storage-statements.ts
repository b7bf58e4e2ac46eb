import type { Statement, StorageSettings, StorageType } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `STORAGE {FLUSH|COMPACT} TABLE ns.t`; the namespace has to be named. */
export function parseStorageTable(reader: TokenReader): Statement {
  reader.expectWords('storage');
  const action = reader.acceptOneOf(['flush', 'compact']);
  if (action === undefined) throw reader.unexpected('FLUSH or COMPACT');
  reader.expectWords('table');
  const name = `STORAGE ${action.toUpperCase()} TABLE`;
  const table = reader.qualifiedName();
  if (table.namespace === undefined) {
    throw reader.refuse(`Table name must be qualified (namespace.table) for ${name}`, table.position);
  }
  if (!reader.atEnd) throw reader.refuse(`Unexpected tokens after ${name}`);
  return { kind: `storage-${action}-table`, table };
}

/** `STORAGE {FLUSH|COMPACT} ALL [IN [NAMESPACE] ns]` */
export function parseStorageAll(reader: TokenReader): Statement {
  reader.expectWords('storage');
  const action = reader.acceptOneOf(['flush', 'compact']);
  if (action === undefined) throw reader.unexpected('FLUSH or COMPACT');
  reader.expectWords('all');
  let namespace: string | undefined;
  if (reader.acceptWords('in')) {
    reader.acceptWords('namespace');
    namespace = reader.nameOrString('a namespace').toLowerCase();
  }
  if (!reader.atEnd) throw reader.refuse(`Unexpected tokens after STORAGE ${action.toUpperCase()} ALL`);
  return { kind: `storage-${action}-all`, namespace };
}

const TYPES: readonly StorageType[] = ['filesystem', 's3', 'gcs', 'azure'];

/** Clauses of CREATE STORAGE behind the type, each followed by a text; PATH and BASE_DIRECTORY are one. */
const CLAUSES = [
  'name',
  'description',
  'path',
  'base_directory',
  'bucket',
  'region',
  'shared_tables_template',
  'user_tables_template',
  'credentials',
  'config',
] as const;

const CHANGES = ['name', 'description', 'shared_tables_template', 'user_tables_template', 'credentials', 'config'] as const;

/** `CREATE STORAGE id TYPE t [clauses]` (sql-dialect B21), the clauses in any order. What they say is checked by the handler. */
export function parseCreateStorage(reader: TokenReader): Statement {
  reader.expectWords('create storage');
  const ifNotExists = reader.acceptWords('if not exists');
  const name = reader.nameOrString('a storage name').toLowerCase();
  reader.expectWords('type');
  const type = storageType(reader);
  const given = clausesOf(reader, CLAUSES, () => undefined);
  reader.expectEnd();
  const path = given.get('path') ?? given.get('base_directory');
  const bucket = given.get('bucket');
  if (path !== undefined && bucket !== undefined) throw reader.refuse('PATH and BUCKET exclude each other');
  const location = path ?? bucket;
  if (location === undefined) throw reader.refuse(`${type === 'filesystem' ? 'BASE_DIRECTORY' : 'BUCKET'} keyword not found`);
  return {
    kind: 'create-storage',
    name,
    ifNotExists,
    type,
    location,
    region: given.get('region'),
    settings: settingsOf(given),
  };
}

/** `ALTER STORAGE id SET NAME 'v' [SET DESCRIPTION 'v' …]` */
export function parseAlterStorage(reader: TokenReader): Statement {
  reader.expectWords('alter storage');
  const name = reader.nameOrString('a storage name').toLowerCase();
  const given = clausesOf(reader, CHANGES, () => reader.expectWords('set'));
  if (given.size === 0) throw reader.unexpected('SET');
  reader.expectEnd();
  return { kind: 'alter-storage', name, settings: settingsOf(given) };
}

/** `DROP STORAGE [IF EXISTS] id` */
export function parseDropStorage(reader: TokenReader): Statement {
  reader.expectWords('drop storage');
  const ifExists = reader.acceptWords('if exists');
  const name = reader.nameOrString('a storage name').toLowerCase();
  reader.expectEnd();
  return { kind: 'drop-storage', name, ifExists };
}

/** `STORAGE CHECK id [EXTENDED]` */
export function parseStorageCheck(reader: TokenReader): Statement {
  reader.expectWords('storage check');
  const name = reader.nameOrString('a storage name').toLowerCase();
  const extended = reader.acceptWords('extended');
  reader.expectEnd();
  return { kind: 'storage-check', name, extended };
}

function storageType(reader: TokenReader): StorageType {
  const { position } = reader;
  const written = reader.nameOrString('a storage type');
  const type = TYPES.find((known) => known === written.toLowerCase());
  if (type !== undefined) return type;
  throw reader.refuse(`Invalid storage type '${written.slice(0, 64)}'. Must be 'filesystem', 's3', 'gcs', or 'azure'`, position);
}

/** Reads clauses until the statement ends; `before` is called in front of each. */
function clausesOf<C extends string>(reader: TokenReader, known: readonly C[], before: () => void): ReadonlyMap<C, string> {
  const given = new Map<C, string>();
  while (!reader.atEnd) {
    before();
    const { position } = reader;
    const clause = reader.acceptOneOf(known);
    if (clause === undefined) throw reader.unexpected(known.join(', ').toUpperCase());
    if (given.has(clause)) throw reader.refuse(`${clause.toUpperCase()} is given twice`, position);
    given.set(clause, reader.string(`a text behind ${clause.toUpperCase()}`));
  }
  return given;
}

function settingsOf(given: ReadonlyMap<string, string>): StorageSettings {
  return {
    displayName: given.get('name'),
    description: given.get('description'),
    sharedTablesTemplate: given.get('shared_tables_template'),
    userTablesTemplate: given.get('user_tables_template'),
    credentials: given.get('credentials'),
    config: given.get('config'),
  };
}

import { kalamError } from '@kalamdb/protocol';

/** Characters of a namespace, table or column name. */
const NAME_LENGTH_MAX = 64;

/** Namespaces that nobody can make (sql-dialect B4). */
const RESERVED_NAMESPACES: ReadonlySet<string> = new Set(
  'system sys root kalamdb kalam main default sql admin internal information_schema pg_catalog datafusion'.split(' '),
);

/** Namespaces whose tables belong to the server. */
const PROTECTED_NAMESPACES: ReadonlySet<string> = new Set(['system', 'information_schema', 'pg_catalog', 'datafusion']);

const RESERVED_COLUMNS: ReadonlySet<string> = new Set(
  '_seq _deleted _id _row_id _rowid _key _updated _created _timestamp _version _hash'.split(' '),
);

/** Words that statements cannot do without; a name that is one of them would have to be quoted for ever. */
const RESERVED_WORDS: ReadonlySet<string> = new Set(
  (
    'select insert update delete from where create drop alter table join union intersect except order group having limit offset into ' +
    'values and or not null as on case when then else end distinct primary foreign references constraint check unique'
  ).split(' '),
);

/** What is being named. */
type NamedObject = 'namespace' | 'table' | 'column';

/** Refuses what cannot be a name (NAME_REFUSED with the texts of sql-dialect B4). `name` is in lower case. */
export function checkName(what: NamedObject, name: string): void {
  const problem = nameProblem(what, name);
  if (problem !== undefined) throw kalamError('NAME_REFUSED', { reason: problem });
}

function nameProblem(what: NamedObject, name: string): string | undefined {
  if (name === '') return `Invalid ${what} name '': Name cannot be empty`;
  if (what === 'column' && RESERVED_COLUMNS.has(name)) {
    return `Invalid column name '${name}': Column name '${name}' is reserved and cannot be used`;
  }
  if (!/^[a-z0-9_]+$/i.test(name)) return `Invalid ${what} name '${name}'. Only alphanumeric characters and underscores are allowed`;
  if (name.length > NAME_LENGTH_MAX) return `Name is too long (${name.length} characters, max ${NAME_LENGTH_MAX})`;
  if (name.startsWith('_')) return 'Name cannot start with underscore (reserved for system columns)';
  if (/^[0-9]/.test(name)) return 'Name cannot start with a number';
  return RESERVED_WORDS.has(name) ? `Name '${name}' is a reserved SQL keyword and cannot be used` : undefined;
}

/** Whether a namespace exists for the server's own sake and can be neither made nor dropped. */
export function isReservedNamespace(namespace: string): boolean {
  return RESERVED_NAMESPACES.has(namespace);
}

/** Refuses DDL on the server's own tables. */
export function checkNotSystem(verb: 'create' | 'alter' | 'drop', namespace: string, name: string): void {
  if (!PROTECTED_NAMESPACES.has(namespace)) return;
  throw kalamError('INVALID_OPERATION', {
    reason: `Cannot ${verb} system table '${namespace}.${name}'. System tables are managed internally.`,
  });
}

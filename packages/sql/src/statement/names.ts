import { kalamError } from '@kalamdb/protocol';

/** Characters at most in the name of a namespace, table or column. */
export const NAME_CHARACTERS_MAX = 64;

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '));

/** Namespaces that cannot be created. */
export const RESERVED_NAMESPACES: ReadonlySet<string> = words(
  'system sys root kalamdb kalam main default sql admin internal information_schema pg_catalog datafusion',
);

/** Column names that belong to the system. */
export const RESERVED_COLUMNS: ReadonlySet<string> = words(
  '_seq _deleted _id _row_id _rowid _key _updated _created _timestamp _version _hash',
);

/** The words that PostgreSQL's grammar does not take as a column name, and the verbs of the dialect's own statements. */
const RESERVED_WORDS: ReadonlySet<string> = words(
  'all alter analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column ' +
    'concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp ' +
    'current_user default deferrable delete desc distinct do drop else end except false fetch for foreign freeze from full grant group ' +
    'having ilike in initially inner insert intersect into is isnull join lateral leading left like limit localtime localtimestamp ' +
    'natural not notnull null offset on only or order outer overlaps placing primary references returning right select session_user ' +
    'similar some symmetric system_user table tablesample then to trailing true union unique update user using variadic verbose when ' +
    'where window with',
);

/** Things whose names follow the rules of sql-dialect B4. */
export type NamedThing = 'namespace' | 'table' | 'column';

/**
 * Checks the name of something that is about to be created (sql-dialect B4); `name` as it will be stored. Throws NAME_REFUSED with the
 * rule that it breaks, or NAMESPACE_RESERVED.
 */
export function checkName(what: NamedThing, name: string): void {
  if (what === 'namespace' && RESERVED_NAMESPACES.has(name.toLowerCase())) throw kalamError('NAMESPACE_RESERVED', { namespace: name });
  const reason = nameProblem(what, name);
  if (reason !== undefined) throw kalamError('NAME_REFUSED', { reason });
}

function nameProblem(what: NamedThing, name: string): string | undefined {
  if (what === 'column' && RESERVED_COLUMNS.has(name.toLowerCase())) {
    return `Invalid column name '${name}': Column name '${name}' is reserved and cannot be used`;
  }
  if (name === '') return `The name of a ${what} cannot be empty`;
  if (!/^[A-Za-z0-9_]*$/.test(name)) return `Invalid ${what} name '${name}'. Only alphanumeric characters and underscores are allowed`;
  if (name.length > NAME_CHARACTERS_MAX) return `Name is too long (${name.length} characters, max ${NAME_CHARACTERS_MAX})`;
  if (name.startsWith('_')) return 'Name cannot start with underscore (reserved for system columns)';
  if (/^[0-9]/.test(name)) return 'Name cannot start with a number';
  if (RESERVED_WORDS.has(name.toLowerCase())) return `Name '${name}' is a reserved SQL keyword and cannot be used`;
  return undefined;
}

/**
 * Checks the id of a user, which may hold what a name may not, but nothing that could be taken for a path. Throws INVALID_NAME.
 */
export function checkUserName(name: string): void {
  if (name === '') throw kalamError('INVALID_NAME', { what: 'user', name, reason: 'it cannot be empty' });
  if (/\.\.|[/\\\0]/.test(name)) throw kalamError('INVALID_NAME', { what: 'user', name, reason: "it cannot contain '..', '/' or '\\'" });
}

import type { Database, Principal, StatementResult } from '@kalamdb/engine';

/**
 * System tables whose rows come and go without a statement or tell of statements, and views of others: they are no part of what
 * statements change.
 */
const VOLATILE: ReadonlySet<string> = new Set([
  'audit_log',
  'cluster',
  'cluster_groups',
  'columns',
  'datatypes',
  'describe',
  'job_nodes',
  'jobs',
  'live',
  'manifest',
  'server_logs',
  'sessions',
  'settings',
  'stats',
  'tables',
  'transactions',
]);
/** Of the audit log only what is written in the commit of a statement that changed the catalog. */
const CATALOG_AUDIT =
  "SELECT * FROM system.audit_log WHERE action LIKE 'CREATE%' OR action LIKE 'ALTER%' OR action LIKE 'DROP%' ORDER BY audit_id";
const EVERY_ROW = 'WHERE _deleted = true OR _deleted = false';

/** Everything that statements can change, by what it is: each part as a text of its rows. */
export type DatabaseDump = ReadonlyMap<string, string>;

const ROOT: Principal = { userId: 'root', role: 'system' };
const quoted = (name: unknown): string => `"${String(name).replaceAll('"', '""')}"`;
const rowsOf = (result: StatementResult | undefined): readonly (readonly unknown[])[] => (result?.kind === 'rows' ? result.rows : []);

function serialized(rows: readonly (readonly unknown[])[]): string {
  return JSON.stringify(rows, (_, cell: unknown) => (typeof cell === 'bigint' ? `${cell}n` : cell));
}

/** Reads the catalog and the audit rows of its changes. */
export async function dumpCatalog(database: Database): Promise<DatabaseDump> {
  const dump = new Map<string, string>();
  const session = database.session(ROOT);
  const listed = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'system' ORDER BY 2";
  const [tables, audit] = await session.execute(`${listed}; ${CATALOG_AUDIT}`);
  dump.set('audit rows of catalog changes', serialized(rowsOf(audit)));
  const names = rowsOf(tables).flatMap(([schema, name]) => (VOLATILE.has(String(name)) ? [] : [`${schema}.${name}`]));
  await dumpInto(dump, { session, names, selects: names.map((name) => `SELECT * FROM ${name}`) });
  return dump;
}

/** Reads every row of every table that users made, tombstones and `_seq` included; of USER and STREAM tables those of `owners`. */
export async function dumpRows(database: Database, owners: Iterable<string>): Promise<DatabaseDump> {
  const dump = new Map<string, string>();
  const session = database.session(ROOT);
  const [tables] = await session.execute('SELECT namespace_id, table_name, table_type FROM system.tables');
  const places = rowsOf(tables).map(([namespace, name, kind]) => ({
    name: `${quoted(namespace)}.${quoted(name)}`,
    isOwned: kind !== 'shared',
  }));
  const selectAll = ({ name }: { readonly name: string }): string => `SELECT *, _seq, _deleted FROM ${name} ${EVERY_ROW}`;
  const shared = places.filter(({ isOwned }) => !isOwned);
  await dumpInto(dump, { session, names: shared.map(({ name }) => name), selects: shared.map(selectAll) });
  const owned = places.filter(({ isOwned }) => isOwned);
  for (const owner of owners) {
    const names = owned.map(({ name }) => `${name} of ${owner}`);
    await dumpInto(dump, { session: database.session({ userId: owner, role: 'user' }), names, selects: owned.map(selectAll) });
  }
  return dump;
}

interface Reading {
  readonly session: ReturnType<Database['session']>;
  readonly names: readonly string[];
  readonly selects: readonly string[];
}

async function dumpInto(dump: Map<string, string>, { session, names, selects }: Reading): Promise<void> {
  if (selects.length === 0) return;
  const results = await session.execute(selects.join('; '));
  for (const [index, name] of names.entries()) dump.set(name, serialized(rowsOf(results[index])));
}

const NO_ROWS: string = serialized([]);

/** The names of the parts in which two dumps differ; a part that is missing is one without rows. */
export function differences(before: DatabaseDump, after: DatabaseDump): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => (before.get(name) ?? NO_ROWS) !== (after.get(name) ?? NO_ROWS));
}

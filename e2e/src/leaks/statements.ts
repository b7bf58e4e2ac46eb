import { nextGrammarStatement, type SeededRandom } from '@kalamdb/testing';
import type { Receiver } from './access-model.ts';
import type { Markers } from './markers.ts';
import { manyTables, type ReadingNames } from './readings.ts';
import { LEAK_TABLES, LEAK_VIEWS, type LeakTable, placeOf, TEXT_COLUMNS } from './scene.ts';

/** Keys are drawn from 0 to this, so that statements meet each other's rows. */
const KEY_MAX = 12;
const COLUMNS: readonly string[] = ['txt', 'n', 'doc', 'credentials'];
const SYSTEM_TABLES: readonly string[] = [
  'system.users',
  'system.schemas',
  'system.tables',
  'system.columns',
  'system.namespaces',
  'system.views',
  'system.live',
  'system.jobs',
  'system.audit_log',
  'system.server_logs',
  'system.settings',
  'system.stats',
  'system.storages',
  'system.transactions',
  'system.cluster',
  'information_schema.tables',
  'information_schema.columns',
  'information_schema.schemata',
];
/** What the grammar's tables are called here. */
const GRAMMAR_NAMES: ReadonlyMap<string, string> = new Map([
  ['g.notes', 'leak.u'],
  ['g.items', 'leak.pub'],
  ['g.secret', 'leak.prv'],
  ['g.top', 'leak.adm'],
  ['g.events', 'leak.e'],
  ['g.kinds', 'leak.res'],
  ['g.seen', 'leak.prv_view'],
]);

const READING_NAMES: ReadingNames = {
  sources: [...LEAK_TABLES.map(({ name }) => name), ...LEAK_VIEWS],
  tables: LEAK_TABLES.map(({ name }) => name),
  systemTables: SYSTEM_TABLES,
  columns: COLUMNS,
};

/** Who sends statements, and to whom they may pretend to be. */
export interface LeakCast {
  readonly sender: Receiver;
  readonly others: readonly Receiver[];
  readonly markers: Markers;
}

/** Draws a request of a principal. New values in it are noted as its own before it is sent. */
export function nextLeakStatement(random: SeededRandom, cast: LeakCast): string {
  const { sender } = cast;
  const kind = random.integer(22);
  if (kind === 0) return `SELECT * FROM ${random.pick(SYSTEM_TABLES)}`;
  if (kind === 1) return about(random);
  if (kind === 2) return impersonating(random, cast);
  // Whoever may write to tables of others may also copy what it reads there, which is no leak but cannot be told from one.
  if (kind < 6 && sender.role === 'user') return ofTheGrammar(random);
  if (kind < 8) return reading(random);
  if (kind < 12) return manyTables(random, READING_NAMES);
  // Administrators see every column, so that a copy of theirs would be no leak.
  if (kind < 14 && !isAdmin(sender)) return copying(random);
  return writing(random, { table: random.pick(LEAK_TABLES), owner: sender }, cast);
}

function reading(random: SeededRandom): string {
  const table = random.pick([...LEAK_TABLES.map(({ name }) => name), ...LEAK_TABLES.map(({ name }) => name), ...LEAK_VIEWS]);
  const other = random.pick(LEAK_TABLES).name;
  const column = random.pick(COLUMNS);
  return random.pick([
    `SELECT * FROM ${table}`,
    `SELECT *, _seq FROM ${table} WHERE _deleted = true OR _deleted = false`,
    `SELECT ${column} AS x FROM ${table} WHERE id > ${random.integer(KEY_MAX)} ORDER BY ${column} DESC LIMIT 5`,
    `SELECT MIN(${column}), MAX(${column}), COUNT(DISTINCT ${column}) FROM ${table}`,
    `SELECT ${column}, COUNT(*) FROM ${table} GROUP BY ${column}`,
    `SELECT UPPER(credentials), credentials || 'x', CONCAT(credentials, txt), COALESCE(NULL, credentials), c FROM ${table}`,
    `SELECT UPPER(credentials), credentials || 'x', COALESCE(credentials, txt), CASE WHEN true THEN credentials END FROM ${table}`,
    `SELECT CAST(${column} AS INT) FROM ${table}`,
    `SELECT CAST(${column} AS TIMESTAMP), ${column}::UUID FROM ${table}`,
    `SELECT ${column}::BOOLEAN FROM ${table} WHERE id = ${random.integer(KEY_MAX)}`,
    `SELECT 1 / (n - n) FROM ${table}`,
    `SELECT json_get_str(credentials, 'a'), doc -> 'a' FROM ${table}`,
    `SELECT * FROM ${table} JOIN ${other} ON true`,
    `SELECT * FROM ${table} UNION SELECT * FROM ${other}`,
    `SELECT (SELECT MAX(txt) FROM ${other})`,
    `SELECT * FROM ${table} WHERE txt = (SELECT MAX(txt) FROM ${other})`,
    `SELECT nowhere FROM ${table}`,
    `SELECT * FROM ${table} LIMIT 0`,
    `BEGIN; SELECT * FROM ${table}; SELECT * FROM ${other}; COMMIT`,
    `TABLE ${table}`,
    `EXPLAIN SELECT * FROM ${table}`,
    `SELECT * FROM ${table} WHERE credentials > 'zqm' ORDER BY credentials`,
  ]);
}

function about(random: SeededRandom): string {
  const table = random.pick(LEAK_TABLES).name;
  return random.pick([
    'SHOW NAMESPACES',
    'SHOW TABLES',
    'SHOW TABLES IN leak',
    'SHOW STORAGES',
    `SHOW STATS FOR TABLE ${table}`,
    `DESCRIBE TABLE ${table} HISTORY`,
    `DESCRIBE ${table}_view`,
    `SHOW COLUMNS FROM ${table}`,
    `SUBSCRIBE TO ${table}`,
    'SELECT CURRENT_USER(), CURRENT_ROLE()',
  ]);
}

/** A write into the sender's own partition from whatever table: nobody may copy what the sender could not read. */
function copying(random: SeededRandom): string {
  const source = random.pick([...LEAK_TABLES.map(({ name }) => name), ...LEAK_VIEWS]);
  const column = source.endsWith('_view') ? random.pick(['txt', 'c']) : random.pick(TEXT_COLUMNS);
  const id = random.integer(KEY_MAX);
  return random.pick([
    `UPDATE leak.u AS x SET txt = s.${column} FROM ${source} s WHERE s.id >= x.id RETURNING x.txt, s.*`,
    `UPDATE leak.u SET txt = (SELECT MAX(${column}) FROM ${source}), doc = NULL WHERE id = ${id} RETURNING *`,
    `UPDATE leak.u SET (txt, credentials) = (SELECT ${column}, 'x' FROM ${source} LIMIT 1) WHERE id >= ${id}`,
    `UPDATE leak.u AS x SET n = CAST(s.${column} AS BIGINT) FROM ${source} s WHERE x.id > 0`,
    `DELETE FROM leak.u AS x USING ${source} s WHERE s.id = x.id AND s.${column} > 'zqm' RETURNING s.*, x.id`,
    `DELETE FROM leak.u WHERE txt IN (SELECT ${column} FROM ${source}) RETURNING *`,
    `INSERT INTO leak.u (id, txt) SELECT s.id + 60, s.${column} FROM ${source} s JOIN leak.pub p ON true ON CONFLICT (id) DO NOTHING RETURNING *`,
    `INSERT INTO leak.e (id, txt) WITH c AS (SELECT * FROM ${source}) SELECT id, ${column} FROM c`,
    `INSERT INTO leak.u (id, txt) VALUES (${id + 80}, (SELECT MIN(${column}) FROM ${source})) RETURNING txt`,
    `INSERT INTO leak.u (id, txt) VALUES (${id}, 'x') ON CONFLICT (id) DO UPDATE SET txt = (SELECT MAX(${column}) FROM ${source}) RETURNING *`,
    `BEGIN; INSERT INTO leak.u (id, txt) SELECT id + 100, ${column} FROM ${source} UNION SELECT 99, 'x'; SELECT * FROM leak.u; ROLLBACK`,
    `EXPLAIN DELETE FROM leak.u USING ${source} s WHERE s.id = u.id`,
  ]);
}

interface Writing {
  readonly table: LeakTable;
  /** Whose rows are written. */
  readonly owner: Receiver;
}

function writing(random: SeededRandom, { table, owner }: Writing, { sender, markers }: LeakCast): string {
  const planted = (column: string): { readonly place: ReturnType<typeof placeOf>; readonly sender: string } => ({
    place: placeOf(table, column, owner),
    sender: sender.name,
  });
  const value = (column: string): string => {
    if (column === 'n') return markers.number(planted(column));
    const text = markers.text(planted(column));
    return column === 'doc' ? `'{"a":"${text}"}'` : `'${text}'`;
  };
  const id = (): number => random.integer(KEY_MAX);
  const row = (): string => `(${[id(), ...COLUMNS.map(value)].join(', ')})`;
  const column = random.pick(TEXT_COLUMNS);
  const returning = random.pick(['', ' RETURNING *', ' RETURNING credentials AS c, txt', ' RETURNING CAST(txt AS INT)']);
  const into = `INSERT INTO ${table.name} (id, ${COLUMNS.join(', ')})`;
  // Administrators see these columns, so that a copy of theirs would be no leak.
  const copies = isAdmin(sender)
    ? []
    : [
        `${into} VALUES ${row()} ON CONFLICT (id) DO UPDATE SET txt = ${table.name.split('.')[1]}.credentials${returning}`,
        `INSERT INTO ${table.name} (id, txt) SELECT id + 40, credentials FROM ${table.name}`,
        `ALTER TABLE ${table.name} RENAME COLUMN credentials TO shown`,
        `UPDATE ${table.name} SET txt = credentials, doc = UPPER(credentials) WHERE id = ${id()}${returning}`,
      ];
  return random.pick([
    `${into} VALUES ${row()}${returning}`,
    `${into} VALUES ${row()}, ${row()}${returning}`,
    `${into} VALUES ${row()} ON CONFLICT (id) DO UPDATE SET ${column} = EXCLUDED.${column}${returning}`,
    `INSERT INTO ${table.name} (id, txt, n) VALUES (${id()}, NULL, ${value('n')})`,
    `INSERT INTO ${table.name} (id, n) VALUES (${id()}, ${value('txt')})`,
    `INSERT INTO ${table.name} (id, txt) VALUES (${value('txt')}, 'x')`,
    `INSERT INTO ${table.name} (id, txt) SELECT id + 20, txt FROM ${table.name} WHERE id < 3${returning}`,
    ...copies,
    `UPDATE ${table.name} SET ${column} = ${value(column)} WHERE id = ${id()}${returning}`,
    `UPDATE ${table.name} SET n = CAST(${column} AS BIGINT) WHERE true`,
    `UPDATE ${table.name} SET id = ${id()} WHERE id = ${id()}`,
    `UPDATE ${table.name} SET txt = NULL WHERE id = ${id()}`,
    `DELETE FROM ${table.name} WHERE id = ${id()}${returning}`,
    `BEGIN; ${into} VALUES ${row()}; SELECT * FROM ${table.name}; ROLLBACK`,
    `BEGIN; UPDATE ${table.name} SET ${column} = ${value(column)} WHERE id = ${id()}; SELECT nowhere; COMMIT`,
    `SELECT ${value('txt')}, * FROM nowhere`,
    `SELEC ${value('txt')}`,
    `SELECT ${value('txt').slice(0, -1)}`,
  ]);
}

const isAdmin = ({ role }: Receiver): boolean => role === 'dba' || role === 'system';

function impersonating(random: SeededRandom, cast: LeakCast): string {
  const target = random.pick(cast.others);
  const owned = random.pick(LEAK_TABLES.filter(({ kind }) => kind === 'user' || kind === 'stream'));
  const kind = random.integer(6);
  const inner =
    kind === 5
      ? manyTables(random, READING_NAMES)
      : kind < 2
        ? reading(random)
        : kind === 2
          ? copying(random)
          : writing(random, { table: owned, owner: target }, cast);
  return `EXECUTE AS USER '${target.name}' (${inner})`;
}

function ofTheGrammar(random: SeededRandom): string {
  let { sql } = nextGrammarStatement(random);
  // The scene keeps its columns.
  while (/ALTER/i.test(sql)) ({ sql } = nextGrammarStatement(random));
  return sql.replaceAll(/\bg\.(?:notes|items|secret|top|events|kinds|seen)\b/g, (name) => GRAMMAR_NAMES.get(name) ?? name);
}

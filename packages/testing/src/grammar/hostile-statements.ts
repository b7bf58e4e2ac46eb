import type { SeededRandom } from '../seeded-random.ts';
import { predicate, someTable } from './expressions.ts';
import { HOSTILE_NAMES, oddLiteral, quoted, quotedName } from './values.ts';

const nested = (open: string, inner: string, close: string, depth: number): string => open.repeat(depth) + inner + close.repeat(depth);

function deep(random: SeededRandom): string {
  const depth = random.pick([10, 100, 600, 3000, 10_000]);
  return random.pick([
    `SELECT ${nested('(', '1', ')', depth)}`,
    `SELECT * FROM g.items WHERE ${nested('NOT (', 'flag', ')', depth)}`,
    `SELECT ${nested('- ', '1', '', depth)}`,
    `SELECT ${Array.from({ length: depth }, () => '1').join(' + ')}`,
    `SELECT * FROM g.items WHERE ${Array.from({ length: depth }, () => 'id = 1').join(' OR ')}`,
    `SELECT ${nested('CASE WHEN true THEN ', '1', ' END', Math.min(depth, 3000))}`,
    `SELECT ${nested('CAST(', '1', ' AS TEXT)', depth)}`,
    `SELECT ${nested('COALESCE(1, ', '1', ')', depth)}`,
    `SELECT ${nested('SELECT * FROM (', 'SELECT 1', ') x', Math.min(depth, 600))}`,
    `SELECT '{}' ${nested("-> 'a' ", '', '', depth)}`,
    `EXECUTE AS USER 'alice' ${nested('(', 'SELECT 1', ')', depth)}`,
    `CREATE VIEW g.v1 AS SELECT ${nested('(', '1', ')', depth)} AS x`,
    `/*${'/*'.repeat(depth)} x ${'*/'.repeat(depth)}*/ SELECT 1`,
  ]);
}

function long(random: SeededRandom): string {
  const count = random.pick([100, 1000, 5000]);
  const many = (item: string): string => Array.from({ length: count }, () => item).join(', ');
  return random.pick([
    `SELECT ${many('1')}`,
    `SELECT * FROM g.items WHERE id IN (${many(String(random.integer(50)))})`,
    `INSERT INTO g.items (${many('id')}) VALUES (1)`,
    `INSERT INTO g.items (id) VALUES (${many('1')})`,
    `INSERT INTO g.items (id, txt, flag) VALUES ${many("(1, 'x', true)")}`,
    `UPDATE g.items SET ${many("txt = 'x'")} WHERE id = 1`,
    `SELECT * FROM g.items ORDER BY ${many('id')}`,
    `SELECT * FROM g.items GROUP BY ${many('id')}`,
    `SELECT CONCAT(${many("'x'")})`,
    `SELECT ${'x'.repeat(count)} FROM g.items`,
    `SELECT ${quoted('\u{1f600}'.repeat(count))}`,
    `SELECT * FROM g.items WHERE txt LIKE ${quoted('%a'.repeat(count))}`,
    `SELECT 1${'\n'.repeat(count)}--${'x'.repeat(count)}`,
    `CREATE TABLE h.t1 (id INT PRIMARY KEY, ${Array.from({ length: count }, (_, i) => `c${i} INT`).join(', ')})`,
    `SHOW TABLES IN ${'n'.repeat(count)}`,
  ]);
}

function quoting(random: SeededRandom): string {
  const table = someTable(random);
  return random.pick([
    "SELECT 'open",
    'SELECT "open',
    'SELECT $$open',
    'SELECT $a$ $b$ $$ ; $a$',
    'SELECT /* open',
    "SELECT 'a' 'b'",
    "SELECT E'\\'' , 1",
    "SELECT E'\\xZZ'",
    "SELECT 'a\\'; SELECT 1; --'",
    'SELECT 1; -- ; SELECT 2',
    'SELECT /* ; */ 1; SELECT 2',
    ';;;',
    '',
    '   ',
    '-- nothing',
    '/* nothing */',
    '\ufeffSELECT 1',
    'SELECT\u00a01',
    'SELECT 1\u0000',
    '\u0000',
    '\ud800',
    `SELECT * FROM ${table.name} WHERE txt = 'x' OR '1'='1' --'`,
    `SELECT * FROM ${table.name}; DROP TABLE ${table.name}; --`,
    `SELECT * FROM ${table.name} WHERE id = 1 UNION SELECT * FROM system.users`,
    "SELECT '\u202e', U&'\\+01F600'",
    'SELECT $0, $1, $2',
    'SELECT $99999999999',
    'SELECT :name, ?, @x, #tag, `tick`, [x]',
    'SELECT 1 AS "", 2 AS "a""b"',
    'select SELECT',
    'BEGIN; BEGIN; COMMIT',
    `BEGIN; INSERT INTO g.items VALUES (39, 'in', 1, true)`,
    `BEGIN; INSERT INTO g.items VALUES (38, 'in', 1, true); INSERT INTO g.items VALUES (38, 'in', 1, true); COMMIT`,
    `BEGIN; UPDATE g.items SET txt = 'tx' WHERE ${predicate(random, table, 1)}; SELECT nowhere; COMMIT`,
    `BEGIN; SAVEPOINT a; DELETE FROM g.items WHERE id = 1; ROLLBACK TO SAVEPOINT ${random.pick(['a', 'b'])}; RELEASE a; COMMIT`,
    `BEGIN; ${random.pick(['CREATE NAMESPACE n1', 'INSERT INTO g.events VALUES (1)', 'SELECT * FROM system.users'])}; COMMIT`,
    'COMMIT',
    'ROLLBACK',
    'BEGIN; DELETE FROM g.notes WHERE true; ROLLBACK',
    "INSERT INTO g.items VALUES (37, 'first of two', 1, true); SELECT * FROM nowhere",
  ]);
}

function names(random: SeededRandom): string {
  const hostile = quotedName(random.pick(HOSTILE_NAMES));
  const text = quoted(random.pick(HOSTILE_NAMES));
  return random.pick([
    `SELECT * FROM ${hostile}`,
    `SELECT * FROM ${hostile}.t1`,
    `SELECT * FROM g.${hostile}`,
    `SELECT ${hostile} FROM g.items`,
    `SELECT id AS ${hostile} FROM g.items`,
    `SELECT * FROM g.items ${hostile}`,
    `INSERT INTO ${hostile}.${hostile} VALUES (1)`,
    `INSERT INTO g.items (${hostile}) VALUES (1)`,
    `UPDATE ${hostile}.t SET a = 1 WHERE true`,
    `DELETE FROM ${hostile}.t WHERE true`,
    `CREATE NAMESPACE ${hostile}`,
    `DROP NAMESPACE ${hostile} CASCADE`,
    `CREATE TABLE g.${hostile} (id INT PRIMARY KEY)`,
    `CREATE TABLE ${hostile}.t1 (id INT PRIMARY KEY)`,
    `CREATE TABLE h.t2 (id INT PRIMARY KEY, ${hostile} TEXT)`,
    `ALTER TABLE g.items ADD COLUMN ${hostile} TEXT`,
    `ALTER TABLE g.items RENAME COLUMN txt TO ${hostile}`,
    `CREATE VIEW g.${hostile} AS SELECT 1 AS x`,
    `USE ${hostile}`,
    `SHOW TABLES IN ${hostile}`,
    `DESCRIBE TABLE ${hostile}.${hostile}`,
    `CREATE USER ${text} WITH PASSWORD 'x' ROLE user`,
    `ALTER USER ${text} SET ROLE dba`,
    `DROP USER ${text}`,
    `EXECUTE AS USER ${text} (SELECT CURRENT_USER())`,
    `EXECUTE AS USER ${text} (INSERT INTO g.notes VALUES (1, 'x', 1, true))`,
    `SUBSCRIBE TO ${hostile}.${hostile}`,
    `KILL LIVE QUERY ${text}`,
    `SELECT a.b.c.d.${hostile}`,
    `SELECT ${hostile}(1)`,
    `SELECT CAST(1 AS ${hostile})`,
    `SAVEPOINT ${hostile}`,
    `SELECT ${oddLiteral(random)}`,
  ]);
}

/** A statement that nobody with good intent writes. */
export function hostileStatement(random: SeededRandom): string {
  return random.pick([names, names, quoting, quoting, quoting, deep, long])(random);
}

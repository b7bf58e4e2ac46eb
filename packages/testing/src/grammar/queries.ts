import type { SeededRandom } from '../seeded-random.ts';
import { expression, predicate, someTable } from './expressions.ts';
import type { SceneTable } from './scene.ts';
import { literalFor, oddLiteral } from './values.ts';

const SYSTEM_TABLES: readonly string[] = [
  'system.namespaces',
  'system.tables',
  'system.schemas',
  'system.columns',
  'system.users',
  'system.live',
  'system.jobs',
  'system.job_nodes',
  'system.storages',
  'system.topics',
  'system.audit_log',
  'system.stats',
  'system.settings',
  'system.server_logs',
  'system.transactions',
  'system.cluster',
  'system.datatypes',
  'system.manifest',
  'system.views',
  'information_schema.tables',
  'information_schema.columns',
  'information_schema.schemata',
];

/** A SELECT over a table of the scene, a system table or nothing. */
export function selectStatement(random: SeededRandom): string {
  const kind = random.integer(12);
  if (kind === 0) return `SELECT * FROM ${random.pick(SYSTEM_TABLES)}${random.pick(['', ' LIMIT 3', ' WHERE 1 = 1'])}`;
  if (kind === 1) return `SELECT ${expression(random, { name: '', kind: 'shared', columns: [['1', 'INT']] }, 2)}`;
  if (kind === 2) return beyondOneTable(random);
  return tableQuery(random, someTable(random));
}

function tableQuery(random: SeededRandom, table: SceneTable): string {
  const grouped = random.integer(6) === 0;
  const [name] = random.pick(table.columns);
  const items = grouped
    ? `${name}, ${random.pick(['COUNT(*)', 'COUNT(DISTINCT id)', 'MIN(id)', 'MAX(id)', 'SUM(id)', 'AVG(id)', 'COUNT(*) FILTER (WHERE id > 1)'])}`
    : random.pick([
        '*',
        '*, _seq',
        name,
        `${name} AS x`,
        `DISTINCT ${name}`,
        expression(random, table, 2),
        'COUNT(*)',
        `${table.name.split('.')[1]}.*`,
      ]);
  const parts = [`SELECT ${items} FROM ${table.name}`];
  if (random.integer(2) === 0) parts.push(`WHERE ${predicate(random, table, 2)}`);
  if (grouped) parts.push(`GROUP BY ${name}`);
  if (grouped && random.integer(3) === 0) parts.push('HAVING COUNT(*) > 1');
  if (random.integer(3) === 0)
    parts.push(`ORDER BY ${random.pick([name, '1', expression(random, table, 1)])}${random.pick(['', ' DESC', ' NULLS FIRST'])}`);
  if (random.integer(3) === 0) parts.push(`LIMIT ${random.pick(['0', '1', '10', '-1', "'x'", 'NULL', '99999999999', '$1'])}`);
  if (random.integer(8) === 0) parts.push(`OFFSET ${random.pick(['0', '1', '-1'])}`);
  return parts.join(' ');
}

function beyondOneTable(random: SeededRandom): string {
  const [a, b] = [someTable(random), someTable(random)];
  return random.pick([
    `SELECT * FROM ${a.name} a JOIN ${b.name} b ON a.id = b.id`,
    `SELECT * FROM ${a.name}, ${b.name}`,
    `SELECT id FROM ${a.name} UNION ALL SELECT id FROM ${b.name}`,
    `SELECT * FROM ${a.name} WHERE id IN (SELECT id FROM ${b.name})`,
    `SELECT (SELECT MAX(id) FROM ${a.name})`,
    `WITH x AS (SELECT * FROM ${a.name}) SELECT * FROM x`,
    `SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM ${a.name}`,
    `SELECT * FROM (SELECT id FROM ${a.name}) s`,
    `TABLE ${a.name}`,
    "VALUES (1, 'a'), (2, 'b')",
    `SELECT * FROM vector_search('${a.name}', 'p', '[1,2,3]')`,
    'SELECT * FROM generate_series(1, 10)',
  ]);
}

const returning = (random: SeededRandom): string =>
  random.pick([
    '',
    '',
    '',
    ' RETURNING *',
    ' RETURNING id',
    ' RETURNING id, _seq AS s',
    ' RETURNING nowhere',
    ' RETURNING 1 / (id - id)',
    ' RETURNING CAST(txt AS INT)',
  ]);

/** An INSERT into a table of the scene. */
export function insertStatement(random: SeededRandom): string {
  const table = someTable(random, random.integer(20) === 0 ? ['view'] : ['user', 'shared', 'stream']);
  const width = 1 + random.integer(table.columns.length);
  const columns = random.integer(3) === 0 ? table.columns : table.columns.slice(0, width);
  const value = ([name, type]: readonly [string, string]): string => {
    const odd = random.integer(25);
    if (odd === 0) return oddLiteral(random);
    if (odd === 1) return random.pick(['DEFAULT', '$1', expression(random, table, 1)]);
    return name === 'id' && type === 'INT' ? String(random.integer(40)) : literalFor(random, type);
  };
  const row = (): string => `(${columns.map(value).join(', ')})`;
  const named = columns === table.columns && random.integer(2) === 0 ? '' : ` (${columns.map(([name]) => name).join(', ')})`;
  const rows = Array.from({ length: random.integer(30) === 0 ? 200 : 1 + random.integer(3) }, row).join(', ');
  const names = columns.map(([name]) => name);
  const kind = random.integer(24);
  const source = kind < 2 ? selectedRows(random, names) : kind === 2 ? computedRow(random, columns) : `VALUES ${rows}`;
  return `${commonTable(random)}INSERT INTO ${table.name}${named} ${random.integer(40) === 0 ? 'DEFAULT VALUES' : source}${onConflict(random, table)}${returning(random)}`;
}

/** A query with as many columns. */
function selectedRows(random: SeededRandom, names: readonly string[]): string {
  const [a, b] = [someTable(random).name, someTable(random).name];
  const [key = '', ...others] = names;
  const qualified = names.map((name) => `a.${name}`).join(', ');
  return random.pick([
    `SELECT ${names.join(', ')} FROM ${a} WHERE id > 1`,
    `SELECT ${qualified} FROM ${a} a JOIN ${b} b ON a.id = b.id`,
    `SELECT ${[`a.${key} + 20`, ...others.map((name) => `a.${name}`)].join(', ')} FROM ${a} a CROSS JOIN ${b} b`,
    `SELECT ${names.join(', ')} FROM ${a} UNION SELECT ${names.join(', ')} FROM ${b} ORDER BY 1 LIMIT 2`,
    `SELECT ${['x', ...others.map(() => 'NULL')].join(', ')} FROM generate_series(${random.integer(40)}, 42) AS s(x)`,
    `WITH q AS (SELECT * FROM ${a}) SELECT ${names.join(', ')} FROM q WHERE EXISTS (SELECT 1 FROM ${b})`,
  ]);
}

/** A row of VALUES with subqueries. */
function computedRow(random: SeededRandom, columns: SceneTable['columns']): string {
  const value = ([name, type]: readonly [string, string]): string =>
    random.pick([
      literalFor(random, type),
      `(SELECT MAX(${name}) FROM ${someTable(random).name})`,
      `(SELECT ${literalFor(random, type)})`,
      `(SELECT ${name} FROM ${someTable(random).name})`,
    ]);
  return `VALUES (${columns.map(value).join(', ')})`;
}

/** A WITH clause, rarely. */
function commonTable(random: SeededRandom): string {
  if (random.integer(20) !== 0) return '';
  return random.pick([
    `WITH c AS (SELECT * FROM ${someTable(random).name}) `,
    'WITH c(id, n) AS (VALUES (1, 2), (2, 3)) ',
    `WITH RECURSIVE c AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM c WHERE id < 3) `,
    `WITH c AS (DELETE FROM ${someTable(random).name} WHERE true RETURNING *) `,
  ]);
}

function onConflict(random: SeededRandom, table: SceneTable): string {
  if (random.integer(5) !== 0) return '';
  const [name, type] = random.pick(table.columns);
  return random.pick([
    ' ON CONFLICT DO NOTHING',
    ' ON CONFLICT (id) DO NOTHING',
    ` ON CONFLICT (id) DO UPDATE SET ${name} = EXCLUDED.${name}`,
    ` ON CONFLICT (id) DO UPDATE SET ${name} = ${literalFor(random, type)} WHERE ${table.name.split('.')[1]}.id > 1`,
    ` ON CONFLICT (${name}) DO NOTHING`,
    ' ON CONFLICT ON CONSTRAINT nowhere DO NOTHING',
    ` ON CONFLICT (id) DO UPDATE SET ${name} = (SELECT MAX(${name}) FROM ${someTable(random).name})`,
    ` ON CONFLICT (id) DO UPDATE SET ${name} = EXCLUDED.${name} WHERE EXCLUDED.id IN (SELECT id FROM ${someTable(random).name})`,
  ]);
}

/** An UPDATE of a table of the scene with another one, as FROM or in subqueries. */
function updateOfSeveral(random: SeededRandom, table: SceneTable): string {
  const other = someTable(random);
  const own = table.name.split('.')[1];
  const [name] = random.pick(table.columns.slice(1));
  const [second] = random.pick(table.columns.slice(1));
  return random.pick([
    `UPDATE ${table.name} SET ${name} = o.${name} FROM ${other.name} o WHERE o.id = ${own}.id${returning(random)}`,
    `UPDATE ${table.name} AS x SET ${name} = o.${second} FROM ${other.name} o WHERE ${random.pick(['true', 'o.id = x.id'])} RETURNING x.*, o.*`,
    `UPDATE ${table.name} SET ${name} = DEFAULT FROM ${other.name} a JOIN ${someTable(random).name} b ON a.id = b.id WHERE a.id = ${own}.id`,
    `UPDATE ${table.name} SET ${name} = (SELECT MAX(${name}) FROM ${other.name} o WHERE o.id >= ${own}.id) WHERE id > 0${returning(random)}`,
    `UPDATE ${table.name} SET (${name}, ${second}) = (SELECT ${name}, ${second} FROM ${other.name} o LIMIT 1) WHERE id > 0`,
    `UPDATE ${table.name} SET ${name} = (SELECT ${name} FROM ${other.name}) WHERE id IN (SELECT id FROM ${other.name})`,
    `WITH c AS (SELECT * FROM ${other.name}) UPDATE ${table.name} SET ${name} = c.${name} FROM c WHERE c.id = ${own}.id`,
    `UPDATE ${table.name} SET ${name} = NULL FROM ${other.name}`,
  ]);
}

/** An UPDATE of a table of the scene. */
export function updateStatement(random: SeededRandom): string {
  const table = someTable(random);
  if (random.integer(5) === 0) return updateOfSeveral(random, table);
  const assignment = (): string => {
    const [name, type] = random.pick(table.columns.slice(random.integer(8) === 0 ? 0 : 1));
    const value = random.pick([
      literalFor(random, type),
      literalFor(random, type),
      expression(random, table, 1),
      oddLiteral(random),
      'DEFAULT',
    ]);
    return `${name} = ${value}`;
  };
  const set = Array.from({ length: 1 + random.integer(2) }, assignment).join(', ');
  const where = random.integer(12) === 0 ? '' : ` WHERE ${predicate(random, table, 2)}`;
  return `UPDATE ${table.name} SET ${set}${where}${returning(random)}`;
}

function deleteOfSeveral(random: SeededRandom, table: SceneTable): string {
  const other = someTable(random).name;
  const own = table.name.split('.')[1];
  return random.pick([
    `DELETE FROM ${table.name} USING ${other} o WHERE o.id = ${own}.id${returning(random)}`,
    `DELETE FROM ${table.name} AS x USING ${other} o, ${someTable(random).name} p WHERE o.id = x.id AND p.id = o.id RETURNING x.id, o.*`,
    `DELETE FROM ${table.name} WHERE id IN (SELECT id FROM ${other} WHERE id > 1)${returning(random)}`,
    `DELETE FROM ${table.name} WHERE NOT EXISTS (SELECT 1 FROM ${other} o WHERE o.id = ${own}.id)`,
    `WITH c AS (SELECT id FROM ${other}) DELETE FROM ${table.name} USING c WHERE c.id = ${own}.id AND c.id > (SELECT MIN(id) FROM c)`,
    `DELETE FROM ${table.name} USING ${other} o`,
  ]);
}

/** A DELETE from a table of the scene. */
export function deleteStatement(random: SeededRandom): string {
  const table = someTable(random);
  if (random.integer(5) === 0) return deleteOfSeveral(random, table);
  const where = random.integer(12) === 0 ? '' : ` WHERE ${predicate(random, table, 2)}`;
  return `DELETE FROM ${table.name}${where}${returning(random)}`;
}

/** A transaction of a few statements on the scene's tables; when one fails, all of it must be undone. */
export function transactionStatement(random: SeededRandom): string {
  const forms = [insertStatement, updateStatement, deleteStatement, selectStatement];
  const statements = Array.from({ length: 1 + random.integer(5) }, () => random.pick(forms)(random));
  if (random.integer(4) === 0)
    statements.splice(random.integer(statements.length), 0, 'SAVEPOINT a', random.pick(forms)(random), 'ROLLBACK TO SAVEPOINT a');
  return `BEGIN; ${statements.join('; ')}; ${random.pick(['COMMIT', 'COMMIT', 'ROLLBACK', 'SELECT 1'])}`;
}

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
  const source =
    random.integer(12) === 0
      ? `SELECT ${columns.map(([name]) => name).join(', ')} FROM ${someTable(random).name} WHERE id > 1`
      : `VALUES ${rows}`;
  return `INSERT INTO ${table.name}${named} ${random.integer(40) === 0 ? 'DEFAULT VALUES' : source}${onConflict(random, table)}${returning(random)}`;
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
  ]);
}

/** An UPDATE of a table of the scene. */
export function updateStatement(random: SeededRandom): string {
  const table = someTable(random);
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

/** A DELETE from a table of the scene. */
export function deleteStatement(random: SeededRandom): string {
  const table = someTable(random);
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

import type { SeededRandom } from '@kalamdb/testing';

/** What queries are made of. */
export interface ReadingNames {
  /** Tables and views, of which some may be refused. */
  readonly sources: readonly string[];
  /** Tables only. */
  readonly tables: readonly string[];
  readonly systemTables: readonly string[];
  readonly columns: readonly string[];
}

/**
 * A query of many tables, as text: joins, subqueries in every clause, WITH (also recursive), set operations, windows, views, system tables and streams
 * mixed, EXPLAIN of all of it, and expressions that could carry a value around its mask or into an error.
 */
export function manyTables(random: SeededRandom, names: ReadingNames): string {
  const query = shape(random, names);
  switch (random.integer(8)) {
    case 0:
      return `EXPLAIN ${query}`;
    case 1:
      return `EXPLAIN ANALYZE ${query}`;
    case 2:
      return `BEGIN; ${query}; COMMIT`;
    default:
      return query;
  }
}

function shape(random: SeededRandom, { sources, tables, systemTables, columns }: ReadingNames): string {
  const [a, b, c] = [random.pick(sources), random.pick(sources), random.pick(random.pick([tables, systemTables]))];
  const table = random.pick(tables);
  const [x, y] = [random.pick(columns), random.pick(columns)];
  const join = random.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN']);
  const operation = random.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL']);
  return random.pick([
    `SELECT * FROM ${a} x ${join} ${b} y ON x.id = y.id`,
    `SELECT x.*, y.* FROM ${a} x CROSS JOIN ${c} y LIMIT 50`,
    `SELECT * FROM ${a} x NATURAL JOIN ${b} y`,
    `SELECT * FROM ${table} x JOIN ${table} y USING (id) JOIN ${b} z USING (id)`,
    `SELECT x.id, l.* FROM ${a} x, LATERAL (SELECT * FROM ${b} y WHERE y.id = x.id) l`,
    `SELECT id, (SELECT max(${x}) FROM ${b} y WHERE y.id = x.id) FROM ${a} x`,
    `SELECT * FROM ${a} WHERE EXISTS (SELECT 1 FROM ${b} y WHERE y.${y} > 'zqm')`,
    `SELECT ${x} FROM ${table} WHERE ${x} = ANY (SELECT ${x} FROM ${b})`,
    `SELECT count(*), min(${x}), array_agg(${x}), string_agg(${y}::text, ',') FROM ${table} GROUP BY ROLLUP (id)`,
    `WITH w AS (SELECT * FROM ${a}) SELECT * FROM w UNION ALL SELECT * FROM w`,
    `WITH w AS (SELECT ${x} FROM ${table}), v AS (SELECT * FROM ${b}) SELECT w.*, v.* FROM w, v LIMIT 50`,
    `WITH RECURSIVE r(id, t) AS (SELECT id, ${x}::text FROM ${table} UNION ALL SELECT r.id + 1, y.${y}::text FROM r JOIN ${table} y ON y.id = r.id + 1 WHERE r.id < 9) SELECT * FROM r LIMIT 100`,
    `SELECT id, ${x}::text FROM ${table} ${operation} SELECT id, ${y}::text FROM ${random.pick(tables)}`,
    `(SELECT id FROM ${a}) ${operation} (SELECT id FROM ${b}) ORDER BY 1`,
    `SELECT id, lag(${x}) OVER (ORDER BY id), first_value(${y}) OVER (ORDER BY ${x}) FROM ${table}`,
    `SELECT row_to_json(x), x, to_jsonb(x)->'credentials' FROM ${a} x`,
    `SELECT json_agg(x), json_build_object('c', max(credentials)) FROM ${table} x`,
    `SELECT (x).credentials, format('%s %L', credentials, txt), overlay(credentials PLACING '' FROM 1 FOR 0) FROM ${table} x`,
    `SELECT regexp_replace(credentials, 'z', 'z'), regexp_split_to_table(txt, 'q'), reverse(reverse(credentials)) FROM ${table}`,
    `SELECT unnest(ARRAY[credentials, txt]), encode(credentials::bytea, 'hex'), left(credentials, 99) FROM ${table} x`,
    `SELECT x.${x} FROM ${table} x JOIN ${table} y ON x.credentials = y.credentials ORDER BY x.credentials`,
    `SELECT x.${x}::int FROM ${table} x JOIN ${table} y ON true`,
    `SELECT (x.${x} || 'a')::timestamp, x.${y}::uuid FROM ${table} x JOIN ${table} y ON true`,
    `SELECT to_date(x.${x}, 'YYYY'), to_char(x.n, '9') FROM ${table} x JOIN ${table} y ON true`,
    `SELECT x.${x}::text ~ x.${y}::text, regexp_replace('a', x.${x}::text || '(', 'b') FROM ${table} x JOIN ${table} y ON true`,
    `SELECT 1 / (x.n - x.n), x.n * x.n FROM ${table} x JOIN ${table} y ON true`,
    `SELECT (SELECT ${x} FROM ${table}), (SELECT nowhere FROM ${b})`,
    `SELECT x.${x}, y.nowhere FROM ${table} x JOIN ${b} y ON true`,
    `SELECT DISTINCT ON (${x}) * FROM ${table} x JOIN (VALUES (1), (2)) v(q) ON true`,
    `SELECT * FROM ${table} x JOIN generate_series(1, 2) g ON true WHERE x._deleted OR NOT x._deleted`,
    `SELECT x.*, u.* FROM ${table} x JOIN system.users u ON u.user_id = x.txt OR true LIMIT 50`,
    `SELECT s.*, x.txt FROM information_schema.columns s LEFT JOIN ${table} x ON x.txt = s.column_name`,
    `SELECT * FROM ${systemTables.length === 0 ? 'system.users' : random.pick(systemTables)} s JOIN ${a} x ON true LIMIT 50`,
    `SELECT * FROM (SELECT * FROM ${a} LIMIT 3) p, (SELECT * FROM ${b} LIMIT 3) q`,
    `SELECT * FROM unnest(ARRAY(SELECT ${x}::text FROM ${table})) AS t(v)`,
    `SELECT CURRENT_USER, x.* FROM ${a} x WHERE EXISTS (SELECT 1 FROM ${c})`,
    `VALUES ((SELECT min(${x}::text) FROM ${table})), ('x')`,
  ]);
}

import type { SeededRandom } from '../seeded-random.ts';
import { SCENE_TABLES, type SceneTable } from './scene.ts';
import { literalFor, oddLiteral } from './values.ts';

const COMPARISONS = ['=', '<>', '<', '<=', '>', '>='] as const;
const FUNCTIONS: readonly string[] = [
  'UPPER(%t)',
  'LOWER(%t)',
  'LENGTH(%t)',
  'COALESCE(%t, %t)',
  'NULLIF(%t, %t)',
  'CONCAT(%t, %n)',
  'ABS(%n)',
  'ROUND(%n)',
  'GREATEST(%n, %n)',
  'SUBSTR(%t, 1, 2)',
  'TRIM(%t)',
  'REPLACE(%t, %t, %t)',
  'CURRENT_USER()',
  'CURRENT_ROLE()',
  'CURRENT_USER_ID()',
  'NOW()',
  'SNOWFLAKE_ID()',
  'UUID_V7()',
  'ULID()',
  'CAST(%n AS TEXT)',
  'CAST(%t AS BIGINT)',
  '%t::INT',
  'CASE WHEN %p THEN %t ELSE %t END',
  'CASE %n WHEN 1 THEN %t END',
  '(%n + %n * %n) % 7',
  '%n / %n',
  '-%n',
  '%t || %t',
  "json_get_str(%t, 'k')",
  "%t -> 'k' ->> 0",
  "COSINE_DISTANCE(%t, '[1,2,3]')",
  'nowhere_function(%n)',
  'SNOWFLAKE_ID(1)',
];

/** A table of the scene. */
export function someTable(random: SeededRandom, kinds?: readonly SceneTable['kind'][]): SceneTable {
  return random.pick(SCENE_TABLES.filter(({ kind }) => kinds === undefined || kinds.includes(kind)));
}

function column(random: SeededRandom, table: SceneTable, types: RegExp): string {
  const fitting = table.columns.filter(([, type]) => types.test(type));
  return fitting.length === 0 ? literalFor(random, 'INT') : random.pick(fitting)[0];
}

/** An expression over a table's columns; what it gives is nobody's promise. */
export function expression(random: SeededRandom, table: SceneTable, depth: number): string {
  const kind = random.integer(10);
  if (depth === 0 || kind < 3) return kind === 0 ? literalFor(random, random.pick(table.columns)[1]) : random.pick(table.columns)[0];
  if (kind === 3) return random.integer(4) === 0 ? oddLiteral(random) : '$1';
  return random.pick(FUNCTIONS).replace(/%([tnp])/g, (_, what: string) => {
    if (what === 'p') return predicate(random, table, depth - 1);
    if (random.integer(3) === 0) return expression(random, table, depth - 1);
    return column(random, table, what === 't' ? /TEXT|JSON/ : /INT|DOUBLE|DECIMAL/);
  });
}

/** A condition over a table's columns. */
export function predicate(random: SeededRandom, table: SceneTable, depth: number): string {
  const some = (): string => expression(random, table, depth);
  const [name, type] = random.pick(table.columns);
  const value = (): string => (random.integer(10) === 0 ? oddLiteral(random) : literalFor(random, type));
  if (depth > 0 && random.integer(3) === 0) {
    const inner = [predicate(random, table, depth - 1), predicate(random, table, depth - 1)];
    return random.pick([`(${inner.join(' AND ')})`, `(${inner.join(' OR ')})`, `NOT (${inner[0]})`]);
  }
  return random.pick([
    `${name} ${random.pick(COMPARISONS)} ${value()}`,
    `${table.columns[0]?.[0]} = ${literalFor(random, table.columns[0]?.[1] ?? 'INT')}`,
    `${name} IN (${value()}, ${value()})`,
    `${name} BETWEEN ${value()} AND ${value()}`,
    `${name} IS ${random.pick(['NULL', 'NOT NULL', 'TRUE', 'NOT FALSE', 'UNKNOWN'])}`,
    `${name} LIKE ${literalFor(random, 'TEXT')}`,
    `${name} IS DISTINCT FROM ${value()}`,
    `_deleted = ${random.pick(['true', 'false'])}`,
    `_seq > ${literalFor(random, 'BIGINT')}`,
    `${some()} ${random.pick(COMPARISONS)} ${some()}`,
    'true',
    `${name} = $1`,
  ]);
}

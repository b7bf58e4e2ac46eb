import type { SeededRandom } from '@kalamdb/testing';

/** What an expression is, as far as the generator has to know to put it into another one. */
export type Family = 'integer' | 'decimal' | 'double' | 'text' | 'boolean' | 'date' | 'timestamp' | 'time' | 'uuid' | 'json' | 'bytes';

/** A column of a generated table. */
export interface GeneratedColumn {
  readonly name: string;
  readonly type: string;
  readonly family: Family;
  /** Literals that its rows are made of: extremes, equal values, characters of several bytes. */
  readonly literals: readonly string[];
}

const TEXTS = [
  "''",
  "'a'",
  "'A'",
  "'ab'",
  "'abc'",
  "'b'",
  "' a '",
  "'10'",
  "'-7'",
  "'1.5'",
  "'true'",
  "'50%'",
  "'a_b'",
  "'ünïcode'",
  "'日本'",
  "'😀'",
  "'é'",
  "'Z'",
  "'it''s'",
  "'a,b,,c'",
];

/** Documents, and a text that is none. */
const DOCUMENTS = [
  `'{"a":1,"b":"x","c":[1,"two",null]}'`,
  `'{"a":"é\\u00e9","b":{"a":true}}'`,
  `'{"a":9223372036854775807,"b":1.5,"":0}'`,
  `'[1,2,{"a":null}]'`,
  `'"text"'`,
  `'null'`,
  `'["a","b",{"a":"x"}]'`,
  `'"a"'`,
  `'{ "a" : -0.25 }'`,
  `'{bad'`,
  `'{}'`,
];

const TYPES: readonly (readonly [type: string, family: Family, literals: readonly string[]])[] = [
  ['SMALLINT', 'integer', ['0', '1', '-1', '2', '7', '32767', '-32768']],
  ['INT', 'integer', ['0', '1', '-1', '2', '10', '-13', '2147483647', '-2147483648']],
  ['BIGINT', 'integer', ['0', '1', '-1', '3', '100', '9007199254740993', '9223372036854775807', '-9223372036854775808']],
  ['FLOAT', 'double', ['0', '1.5', '-0.25', '3', '16777216', '-1000000']],
  ['DOUBLE', 'double', ['0', '0.1', '-2.5', '2.5', '3.5', '1e15', '-1e-7', '1e300']],
  ['DECIMAL(12,3)', 'decimal', ['0', '1.005', '-1.5', '2.5', '0.001', '999999999.999', '-999999999.999']],
  ['TEXT', 'text', TEXTS],
  ['BOOLEAN', 'boolean', ['true', 'false']],
  ['DATE', 'date', ["'1970-01-01'", "'2024-02-29'", "'2024-12-31'", "'1969-07-20'", "'0001-01-01'", "'2262-04-11'"]],
  [
    'TIMESTAMP',
    'timestamp',
    ["'1970-01-01 00:00:00'", "'2024-02-29 23:59:59.999999'", "'1969-12-31 12:34:56.5'", "'1900-03-01 00:00:00'", "'2262-04-11 12:00:00'"],
  ],
  ['TIME', 'time', ["'00:00:00'", "'23:59:59.999999'", "'12:30:00'"]],
  ['DATETIME', 'timestamp', ["'1970-01-01 00:00:00'", "'2024-02-29 23:59:59.999999'", "'1999-12-31 23:59:59'"]],
  ['JSON', 'json', DOCUMENTS],
  ['BYTES', 'bytes', ["''", "'a'", "'ab'", "'é'", "'日本'"]],
  [
    'UUID',
    'uuid',
    ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'0192f0c4-6d3b-7c55-8a17-1f2e3d4c5b6a'"],
  ],
];

/** Columns beside the key that a table has at most. */
const COLUMNS_MAX = 7;
/** Rows that a table has at most. */
const ROWS_MAX = 24;

/** Columns of a table: `id BIGINT PRIMARY KEY` first, then some of every kind but those left out. */
export function generateColumns(random: SeededRandom, without: readonly Family[] = []): readonly GeneratedColumn[] {
  const types = TYPES.filter(([, family]) => !without.includes(family));
  const key: GeneratedColumn = { name: 'id', type: 'BIGINT', family: 'integer', literals: [] };
  const others = Array.from({ length: 3 + random.integer(COLUMNS_MAX - 2) }, (_, index) => {
    const [type, family, literals] = random.pick(types);
    return { name: `c${index + 1}`, type, family, literals };
  });
  return [key, ...others];
}

/** The statements that make the table and its rows. */
export function tableStatements(random: SeededRandom, table: string, columns: readonly GeneratedColumn[]): readonly string[] {
  const definitions = columns.map(({ name, type }, index) => `${name} ${type}${index === 0 ? ' PRIMARY KEY' : ''}`);
  const count = random.integer(10) === 0 ? 0 : 1 + random.integer(ROWS_MAX);
  const rows = Array.from({ length: count }, (_, index) => {
    const cells = columns.slice(1).map(({ literals }) => (random.integer(5) === 0 ? 'NULL' : random.pick(literals)));
    return `(${[index + 1, ...cells].join(', ')})`;
  });
  const create = `CREATE TABLE ${table} (${definitions.join(', ')})`;
  return rows.length === 0 ? [create] : [create, `INSERT INTO ${table} VALUES ${rows.join(', ')}`];
}

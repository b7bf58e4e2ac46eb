import type { SeededRandom } from '../seeded-random.ts';

/** A text as an SQL literal. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as a quoted identifier. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Literals that a column of a type takes, as SQL. */
const LITERALS: Readonly<Record<string, readonly string[]>> = {
  SMALLINT: ['0', '-1', '32767', "'12'"],
  INT: ['0', '1', '2', '3', '-7', '2147483647', "'55'"],
  BIGINT: ['0', '1', '100', '-9223372036854775807', '9007199254740993', "'77'"],
  FLOAT: ['0.5', '-1', '1e10', "'2.5'"],
  DOUBLE: ['0.1', '-1', '1e300', '3'],
  DECIMAL: ['1.5', '-0.0001', '99999999999999', "'12.25'"],
  BOOLEAN: ['true', 'false'],
  TEXT: ["'a'", "''", "'it''s'", "'ünïcode ✓'", "'%_\\'", "'; DROP TABLE g.items; --'", "E'tab\\t'", '$$dollar $q$ quoted$$'],
  JSON: ['\'{"a":{"b":[1,2,{"c":null}]}}\'', "'[]'", "'not json'", "'1'"],
  BYTES: ["'bytes'", "''"],
  UUID: ["'0190163d-8694-739b-aea5-966c26f8ad91'", "'0190163D8694739BAEA5966C26F8AD91'"],
  TIMESTAMP: ["'2025-01-31 10:00:00'", "'2025-01-31T10:00:00.123456Z'", 'NOW()', '1735689600000000'],
  DATETIME: ["'2025-01-31 10:00:00+02:00'", 'CURRENT_TIMESTAMP'],
  DATE: ["'2025-01-31'", "'1969-12-31'"],
  TIME: ["'10:00:00'", "'23:59:59.999999'"],
  EMBEDDING: ["'[1.0,0.0,0.5]'"],
};

const baseType = (type: string): string => /^[A-Z]+/.exec(type)?.[0] ?? type;

/** A literal for a column of the type, sometimes NULL. */
export function literalFor(random: SeededRandom, type: string): string {
  if (random.integer(12) === 0) return 'NULL';
  return random.pick(LITERALS[baseType(type)] ?? ["'x'"]);
}

/** Literals that hardly fit anywhere: too large, too long, of another type, badly written. */
const ODD_LITERALS: readonly string[] = [
  '99999999999999999999999999999999999999999999999999',
  '-170141183460469231731687303715884105729',
  '1e400',
  '-1e-400',
  '0x1f',
  '1_000',
  "'2025-02-30'",
  "'294277-01-01 00:00:00'",
  "'25:61:61'",
  "'NaN'",
  "'Infinity'",
  "'[1,2'",
  "'[1,2,3,4,5]'",
  "X'00ff'",
  "B'101'",
  "U&'\\0061'",
  "'\u0000'",
  "'\ud800'",
  "'\u202e'",
  '$tag$ ; -- $tag$',
  'NULL::INT',
  'ARRAY[1,2]',
  'ROW(1,2)',
  'DEFAULT',
  "CAST('x' AS INT)",
  "'nine'::BIGINT",
];

/** A literal that is more often wrong than right. */
export function oddLiteral(random: SeededRandom): string {
  const long = random.integer(40) === 0 ? [quoted('x'.repeat(20_000)), '9'.repeat(5000), quoted('it’s '.repeat(3000))] : [];
  return random.pick([...ODD_LITERALS, ...long]);
}

/** SQL types, with what is refused among them. */
export const TYPES: readonly string[] = [
  'INT',
  'BIGINT',
  'SMALLINT',
  'TEXT',
  'VARCHAR(20)',
  'BOOLEAN',
  'DOUBLE PRECISION',
  'REAL',
  'DECIMAL(10,2)',
  'JSONB',
  'BYTEA',
  'UUID',
  'TIMESTAMP',
  'TIMESTAMPTZ',
  'DATE',
  'TIME',
  'EMBEDDING(3)',
  'STRING',
];

/** Types that do not exist, or not so. */
export const ODD_TYPES: readonly string[] = [
  'EMBEDDING',
  'EMBEDDING(0)',
  'EMBEDDING(9999)',
  "EMBEDDING('x')",
  'DECIMAL(99,2)',
  'DECIMAL(2,9)',
  'NUMERIC',
  'TINYINT',
  'MONEY',
  'INT[]',
  'nowhere.type',
];

/** Names that a name may not be, or only in quotes. */
export const HOSTILE_NAMES: readonly string[] = [
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  'a/b',
  'a\\b',
  '.',
  '',
  ' ',
  'a b',
  'a-b',
  '1a',
  '_a',
  '_seq',
  '_deleted',
  'select',
  'table',
  'system',
  'information_schema',
  'pg_catalog',
  'default',
  'root',
  'sys',
  "x'; DROP TABLE g.items; --",
  'x"y',
  'ünïcode',
  '名前',
  '\u202eabc',
  'a\u0000b',
  'a\nb',
  `\${user_id}`,
  '{userId}',
  '%s%n',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'x'.repeat(64),
  'x'.repeat(65),
  'x'.repeat(5000),
  'NULL',
  'TRUE',
];

import type { SeededRandom } from '@kalamdb/testing';
import { type ExpressionNode, leaf, textOf } from './expression-node.ts';
import type { Family, GeneratedColumn } from './table-schema.ts';

/** All families. */
const FAMILIES: readonly Family[] = [
  'integer',
  'decimal',
  'double',
  'text',
  'boolean',
  'date',
  'timestamp',
  'time',
  'uuid',
  'json',
  'bytes',
];

const LITERALS: Readonly<Record<Family, readonly string[]>> = {
  integer: ['0', '1', '2', '3', '-1', '10', '100', '32767', '2147483647', '2147483648', '9223372036854775807', 'NULL'],
  decimal: ['CAST(1.5 AS DECIMAL(10,2))', 'CAST(-0.005 AS DECIMAL(6,3))', "CAST('99.99' AS DECIMAL(4,2))"],
  double: ['0.5', '1.5', '2.5', '-3.75', '1e10', '0.1'],
  text: ["''", "'a'", "'ab'", "'B'", "' '", "'日'", "'😀x'", "'10'", "'x,y'"],
  boolean: ['true', 'false', 'NULL'],
  date: ["DATE '2024-01-31'", "DATE '1969-12-31'", "CAST('2000-02-29' AS DATE)"],
  timestamp: ["TIMESTAMP '2024-01-31 10:20:30.5'", "TIMESTAMP '1969-12-31 23:59:59'", "CAST('2000-01-01' AS TIMESTAMP)"],
  time: ["TIME '10:20:30'", "CAST('23:59:59.5' AS TIME)"],
  uuid: ["CAST('0192f0c4-6d3b-7c55-8a17-1f2e3d4c5b6a' AS UUID)"],
  json: [`CAST('{"a":{"b":2},"c":[3]}' AS JSON)`],
  bytes: ["CAST('ab' AS BYTES)"],
};

const TYPE_NAMES: Readonly<Record<Family, readonly string[]>> = {
  integer: ['SMALLINT', 'INT', 'BIGINT'],
  decimal: ['DECIMAL(10,2)', 'DECIMAL(20,0)'],
  double: ['DOUBLE', 'FLOAT'],
  text: ['TEXT'],
  boolean: ['BOOLEAN'],
  date: ['DATE'],
  timestamp: ['TIMESTAMP'],
  time: ['TIME'],
  uuid: ['UUID'],
  json: ['JSON'],
  bytes: ['BYTES'],
};

/** Families whose values a CAST can turn into one of a family; others are refused, which is tried now and then. */
const CAST_SOURCES: Readonly<Record<Family, readonly Family[]>> = {
  integer: ['integer', 'decimal', 'double', 'text', 'boolean'],
  decimal: ['integer', 'decimal', 'double', 'text'],
  double: ['integer', 'decimal', 'double', 'text'],
  text: FAMILIES,
  boolean: ['boolean', 'text', 'integer'],
  date: ['date', 'timestamp', 'text'],
  timestamp: ['timestamp', 'date', 'text'],
  time: ['time', 'timestamp', 'text'],
  uuid: ['uuid', 'text'],
  json: ['json', 'text'],
  bytes: ['bytes', 'text'],
};

/** A call or operation: the families of its parts, and its text with `$1 … $n` for them. */
type Form = readonly [text: string, ...parts: Family[]];

const FORMS: Readonly<Record<Family, readonly Form[]>> = {
  integer: [
    ['($1 + $2)', 'integer', 'integer'],
    ['($1 - $2)', 'integer', 'integer'],
    ['($1 * $2)', 'integer', 'integer'],
    ['($1 / $2)', 'integer', 'integer'],
    ['($1 % $2)', 'integer', 'integer'],
    ['(- $1)', 'integer'],
    ['abs($1)', 'integer'],
    ['length($1)', 'text'],
    ['octet_length($1)', 'text'],
    ['ascii($1)', 'text'],
    ['strpos($1, $2)', 'text', 'text'],
    ['mod($1, $2)', 'integer', 'integer'],
    ['bit_length($1)', 'text'],
    ['position($1 IN $2)', 'text', 'text'],
    ['($1 - $2)', 'date', 'date'],
    ['octet_length($1)', 'bytes'],
    ["json_get_int($1, 'a')", 'json'],
    ["json_get_int($1, 'c', 0)", 'json'],
    ['greatest($1, $2)', 'integer', 'integer'],
    ['least($1, $2)', 'integer', 'integer'],
  ],
  decimal: [
    ['($1 + $2)', 'decimal', 'decimal'],
    ['($1 - $2)', 'decimal', 'integer'],
    ['($1 * $2)', 'decimal', 'decimal'],
    ['($1 / $2)', 'decimal', 'decimal'],
    ['($1 % $2)', 'decimal', 'decimal'],
    ['(- $1)', 'decimal'],
    ['abs($1)', 'decimal'],
    ['round($1)', 'decimal'],
    ['round($1, 1)', 'decimal'],
    ['trunc($1)', 'decimal'],
    ['floor($1)', 'decimal'],
    ['ceil($1)', 'decimal'],
  ],
  double: [
    ['($1 + $2)', 'double', 'double'],
    ['($1 - $2)', 'double', 'integer'],
    ['($1 * $2)', 'double', 'decimal'],
    ['($1 / $2)', 'double', 'double'],
    ['(- $1)', 'double'],
    ['abs($1)', 'double'],
    ['round($1)', 'double'],
    ['round($1, 2)', 'double'],
    ['trunc($1)', 'double'],
    ['floor($1)', 'double'],
    ['ceil($1)', 'integer'],
    ['sqrt($1)', 'double'],
    ['power($1, $2)', 'double', 'integer'],
    ['sign($1)', 'double'],
    ['ln($1)', 'double'],
    ['exp($1)', 'double'],
    ['cbrt($1)', 'double'],
    ['log10($1)', 'integer'],
    ['atan2($1, $2)', 'double', 'double'],
    ['degrees($1)', 'double'],
    ["json_get_float($1, 'b')", 'json'],
    ['EXTRACT(isodow FROM $1)', 'date'],
    ['EXTRACT(week FROM $1)', 'timestamp'],
    ['EXTRACT(quarter FROM $1)', 'date'],
    ['EXTRACT(hour FROM $1)', 'time'],
    ['EXTRACT(year FROM $1)', 'timestamp'],
    ['EXTRACT(dow FROM $1)', 'date'],
    ['EXTRACT(second FROM $1)', 'timestamp'],
    ['EXTRACT(epoch FROM $1)', 'timestamp'],
  ],
  text: [
    ['($1 || $2)', 'text', 'text'],
    ['($1 || $2)', 'text', 'integer'],
    ["($1 ->> 'a')", 'json'],
    ["($1 -> 'b')", 'json'],
    ["($1 -> 'b' ->> 'a')", 'json'],
    ['($1 ->> 0)', 'json'],
    ['($1 ->> -1)', 'json'],
    ['($1 ->> $2)', 'json', 'text'],
    ["json_get_str($1, 'b')", 'json'],
    ["json_as_text($1, 'c')", 'json'],
    ["json_get_json($1, 'c', 1)", 'json'],
    ['json_length($1)', 'json'],
    ['json_object_keys($1)', 'json'],
    ["btrim($1, ' a')", 'text'],
    ['greatest($1, $2)', 'text', 'text'],
    ['least($1, $2)', 'text', 'text'],
    ['upper($1)', 'text'],
    ['lower($1)', 'text'],
    ['initcap($1)', 'text'],
    ['reverse($1)', 'text'],
    ['trim($1)', 'text'],
    ['ltrim($1, $2)', 'text', 'text'],
    ['substr($1, 2)', 'text'],
    ['substring($1, $2, 2)', 'text', 'integer'],
    ['left($1, 2)', 'text'],
    ['right($1, -1)', 'text'],
    ['replace($1, $2, $3)', 'text', 'text', 'text'],
    ["lpad($1, 5, '*')", 'text'],
    ['rpad($1, 2)', 'text'],
    ["split_part($1, ',', 2)", 'text'],
    ["translate($1, 'ab', 'x')", 'text'],
    ['concat($1, $2)', 'text', 'integer'],
    ["concat_ws('-', $1, $2)", 'text', 'boolean'],
    ['repeat($1, 2)', 'text'],
    ['md5($1)', 'text'],
    ['to_hex($1)', 'integer'],
  ],
  boolean: [
    ['($1 AND $2)', 'boolean', 'boolean'],
    ['($1 OR $2)', 'boolean', 'boolean'],
    ['(NOT $1)', 'boolean'],
    ['($1 IS TRUE)', 'boolean'],
    ['($1 IS NOT FALSE)', 'boolean'],
    ['($1 IS UNKNOWN)', 'boolean'],
    ['($1 = $2)', 'integer', 'double'],
    ['($1 < $2)', 'integer', 'decimal'],
    ['($1 >= $2)', 'timestamp', 'date'],
    ["($1 LIKE '%a%')", 'text'],
    ["($1 LIKE 'a\\_%')", 'text'],
    ["($1 NOT ILIKE 'A%')", 'text'],
    ['($1 LIKE $2)', 'text', 'text'],
    ['starts_with($1, $2)', 'text', 'text'],
    ["($1 ? 'a')", 'json'],
    ['($1 ? $2)', 'json', 'text'],
    ["json_contains($1, 'b', 'a')", 'json'],
    ["json_get_bool($1, 'b', 'a')", 'json'],
    ['(($1, $2) = ($3, $4))', 'integer', 'text', 'integer', 'text'],
  ],
  date: [
    ['($1 + 1)', 'date'],
    ['($1 - 30)', 'date'],
    ['greatest($1, $2)', 'date', 'date'],
  ],
  timestamp: [
    ["date_trunc('month', $1)", 'timestamp'],
    ["date_trunc('hour', $1)", 'timestamp'],
    ["date_trunc('week', $1)", 'timestamp'],
    ["date_trunc('quarter', $1)", 'date'],
    ["date_trunc('century', $1)", 'timestamp'],
    ['to_timestamp($1)', 'double'],
    ['least($1, $2)', 'timestamp', 'timestamp'],
  ],
  time: [],
  uuid: [],
  json: [],
  bytes: [],
};

/** Forms over two or three parts of one family. */
const COMPARISONS = [
  '($1 = $2)',
  '($1 <> $2)',
  '($1 < $2)',
  '($1 <= $2)',
  '($1 > $2)',
  '($1 IS DISTINCT FROM $2)',
  '($1 IS NOT DISTINCT FROM $2)',
];
const MEMBERSHIPS = ['($1 BETWEEN $2 AND $3)', '($1 NOT BETWEEN $2 AND $3)', '($1 IN ($2, $3))', '($1 NOT IN ($2, $3, NULL))'];
const CONDITIONALS = ['coalesce($2, $3)', 'nullif($2, $3)', 'CASE WHEN $1 THEN $2 ELSE $3 END', 'CASE WHEN $1 THEN $2 END'];
/**
 * Functions whose last bit libraries of numbers do not agree on: IEEE 754 asks only of the four operations and of the square root that they be
 * the nearest. A text shows that bit, and of two rows that have the same value it may make two groups.
 */
const LAST_BITS = /\b(?:cbrt|atan2|exp|ln|log10|power|degrees)\(/;

const AGGREGATES: readonly Form[] = [
  ['count(*)'],
  ['sum($1)', 'integer'],
  ['sum($1)', 'decimal'],
  ['sum($1)', 'double'],
  ['avg($1)', 'integer'],
  ['avg($1)', 'decimal'],
  ['avg($1)', 'double'],
  ['bool_and($1)', 'boolean'],
  ['bool_or($1)', 'boolean'],
  ['count(*) FILTER (WHERE $1)', 'boolean'],
  ['sum($1) FILTER (WHERE $2)', 'integer', 'boolean'],
  ['count(DISTINCT $1)', 'text'],
  ['count(DISTINCT $1)', 'integer'],
  ['sum(DISTINCT $1)', 'integer'],
  ['stddev($1)', 'double'],
  ['var_pop($1)', 'integer'],
  ["string_agg($1, ',' ORDER BY id)", 'text'],
  ['avg(DISTINCT $1)', 'integer'],
  ["string_agg(DISTINCT $1, ',')", 'text'],
  ['stddev_samp($1)', 'decimal'],
];

/** Whether the last bit of an expression's value is open. */
export function hasOpenLastBit(node: ExpressionNode): boolean {
  return LAST_BITS.test(textOf(node));
}

/** Makes random expressions over the columns of a table. */
export class ExpressionGenerator {
  readonly #random: SeededRandom;
  readonly #columns: readonly GeneratedColumn[];
  readonly #families: readonly Family[];
  readonly #forms: ReadonlyMap<Family, readonly Form[]>;
  readonly #castSources: ReadonlyMap<Family, readonly Family[]>;

  /** `without`: families that no expression has a part of. */
  constructor(random: SeededRandom, columns: readonly GeneratedColumn[], without: readonly Family[] = []) {
    const isKept = (family: Family): boolean => !without.includes(family);
    this.#random = random;
    this.#columns = columns;
    this.#families = FAMILIES.filter(isKept);
    this.#forms = new Map(FAMILIES.map((family) => [family, FORMS[family].filter(([, ...parts]) => parts.every(isKept))]));
    this.#castSources = new Map(FAMILIES.map((family) => [family, CAST_SOURCES[family].filter(isKept)]));
  }

  /** A family that some column has, most of the time. */
  family(): Family {
    const random = this.#random;
    return random.integer(4) === 0 ? random.pick(this.#families) : random.pick(this.#columns).family;
  }

  /** An expression of a family, at most `depth` operations deep. */
  expression(family: Family, depth: number): ExpressionNode {
    const random = this.#random;
    if (depth === 0 || random.integer(4) === 0) return this.#leaf(family);
    const dice = random.integer(12);
    if (dice === 0) return this.#cast(family, depth);
    if (dice === 1) return this.#of(family, [random.pick(CONDITIONALS), 'boolean', family, family], depth);
    if (family === 'boolean' && dice < 8) return this.#comparison(depth);
    const forms = this.#forms.get(family) ?? [];
    return forms.length === 0 ? this.#leaf(family) : this.#of(family, random.pick(forms), depth);
  }

  /** An aggregate call. */
  aggregate(): ExpressionNode {
    const random = this.#random;
    if (random.integer(4) > 0) return this.#of('integer', random.pick(AGGREGATES), 2);
    const family = this.family();
    return this.#of(family, [random.pick(['min($1)', 'max($1)', 'count($1)']), family], 2);
  }

  #cast(family: Family, depth: number): ExpressionNode {
    const random = this.#random;
    const source = random.integer(12) === 0 ? this.family() : random.pick(this.#castSources.get(family) ?? this.#families);
    const cast = this.#of(family, [`CAST($1 AS ${random.pick(TYPE_NAMES[family])})`, source], depth);
    return family === 'text' && hasOpenLastBit(cast) ? this.#leaf(family) : cast;
  }

  #comparison(depth: number): ExpressionNode {
    const random = this.#random;
    const family = this.family();
    const dice = random.integer(8);
    if (dice === 0) return this.#of('boolean', [random.pick(['($1 IS NULL)', '($1 IS NOT NULL)']), family], depth);
    if (dice === 1) return this.#of('boolean', [random.pick(MEMBERSHIPS), family, family, family], depth);
    return this.#of('boolean', [random.pick(COMPARISONS), family, family], depth);
  }

  #leaf(family: Family): ExpressionNode {
    const random = this.#random;
    const columns = this.#columns.filter((column) => column.family === family);
    if (columns.length > 0 && random.integer(3) > 0) return leaf(family, random.pick(columns).name);
    return leaf(family, random.pick(LITERALS[family]));
  }

  #of(family: Family, [text, ...parts]: Form, depth: number): ExpressionNode {
    return {
      family,
      parts: parts.map((part) => this.expression(part, depth - 1)),
      render: (texts) => text.replace(/\$(\d)/g, (_, index: string) => texts[Number(index) - 1] ?? ''),
    };
  }
}

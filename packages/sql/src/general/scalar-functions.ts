import { type DataType, plainType } from '@kalamdb/protocol';
import { duckdbType } from './duckdb-text.ts';

/** What a writer knows about a call besides the texts of its arguments. */
export interface CallTypes {
  readonly result: DataType;
  /** Of the arguments, after coercion. */
  readonly operands: readonly DataType[];
  /** The words of arguments that are texts as written. */
  readonly words: readonly (string | undefined)[];
}

/** Writes a call in DuckDB's SQL. */
export type CallWriter = (operands: readonly string[], types: CallTypes) => string;

/** The same function under a name of DuckDB's. */
function named(name: string): CallWriter {
  return (operands) => `${name}(${operands.join(', ')})`;
}

/** The same function, its result in the type that the dialect has for it. */
function typed(name: string): CallWriter {
  return (operands, { result }) => `CAST(${name}(${operands.join(', ')}) AS ${duckdbType(result)})`;
}

const integer = (text: string | undefined): string => `CAST(${text ?? '0'} AS INTEGER)`;

/** Positions that DuckDB takes; no text is as long. */
const POSITION_MAX = 2_147_483_647;

/** PostgreSQL counts from 1 and lets a part begin before the text; DuckDB counts negative positions from the end, and `greatest` passes over NULLs. */
const substring: CallWriter = ([value = '', from = '', count]) => {
  const start = `least(greatest(CAST(${from} AS HUGEINT), -${POSITION_MAX}), ${POSITION_MAX})`;
  const first = `CAST(greatest(${start}, 1) AS BIGINT)`;
  if (count === undefined) return `(CASE WHEN ${from} IS NULL THEN NULL ELSE substr(${value}, ${first}) END)`;
  const length = `greatest(${start} + least(CAST(${count} AS HUGEINT), ${POSITION_MAX}) - greatest(${start}, 1), 0)`;
  return (
    `(CASE WHEN ${value} IS NULL OR ${from} IS NULL OR ${count} IS NULL THEN NULL ` +
    `WHEN ${count} < 0 THEN error('negative substring length not allowed') ELSE substr(${value}, ${first}, CAST(${length} AS BIGINT)) END)`
  );
};

const length: CallWriter = ([value = ''], { operands }) =>
  `CAST(${operands[0]?.kind === 'bytes' ? 'octet_length' : 'length'}(${value}) AS INTEGER)`;

const octets: CallWriter = ([value = ''], { operands }) =>
  `CAST(${operands[0]?.kind === 'bytes' ? 'octet_length' : 'strlen'}(${value}) AS INTEGER)`;

const padded =
  (name: string): CallWriter =>
  ([value = '', width = '', fill = "' '"]) =>
    `${name}(${value}, ${integer(`greatest(${width}, 0)`)}, ${fill})`;

const rounded =
  (name: string): CallWriter =>
  ([value = '', digits], { result }) =>
    `CAST(${name}(${value}${digits === undefined ? '' : `, ${integer(digits)}`}) AS ${duckdbType(result)})`;

/** EXTRACT gives seconds with their fraction; DuckDB's parts are whole. */
const datePart: CallWriter = ([unit = '', value = ''], { words }) => {
  const word = words[0]?.toLowerCase();
  if (word === 'second' || word === 'seconds') return `(CAST(date_part('microseconds', ${value}) AS DOUBLE) / CAST(1000000 AS DOUBLE))`;
  if (word === 'millisecond' || word === 'milliseconds')
    return `(CAST(date_part('microseconds', ${value}) AS DOUBLE) / CAST(1000 AS DOUBLE))`;
  return `CAST(date_part(${unit}, ${value}) AS DOUBLE)`;
};

/**
 * Centuries and millennia begin with a year 1. The unit is no constant for DuckDB: from `date_trunc('month', t) <> constant` it would conclude
 * that rows without `t` fit too.
 */
const dateTrunc: CallWriter = ([unit = '', value = ''], { words }) => {
  const word = words[0]?.toLowerCase();
  if (word !== 'century' && word !== 'millennium') {
    return `CAST(date_trunc(CASE WHEN ${value} IS NULL THEN NULL ELSE ${unit} END, ${value}) AS TIMESTAMP)`;
  }
  const year = "CAST('1 year' AS INTERVAL)";
  return `CAST(date_trunc(${unit}, ${value} - ${year}) + ${year} AS TIMESTAMP)`;
};

/** An empty delimiter leaves the text whole. */
const splitPart: CallWriter = ([value = '', delimiter = '', part = '']) =>
  `(CASE WHEN ${part} = 0 THEN error('field position must not be zero') ` +
  `WHEN ${delimiter} = '' THEN (CASE WHEN ${part} IN (1, -1) THEN ${value} ELSE left(${value}, 0) END) ` +
  `ELSE split_part(${value}, ${delimiter}, ${integer(part)}) END)`;

const power: CallWriter = ([base = '', exponent = '']) =>
  `(CASE WHEN ${base} = 0 AND ${exponent} < 0 THEN error('zero raised to a negative power is undefined') ` +
  `WHEN ${base} < 0 AND ${exponent} <> trunc(${exponent}) THEN error('a negative number raised to a non-integer power yields a complex result') ` +
  `ELSE pow(${base}, ${exponent}) END)`;

/** The distance of two vectors, written as texts of one EMBEDDING type; 1 when either is zero. */
export function cosineDistance([a = '', b = '']: readonly string[]): string {
  return (
    `(CASE WHEN array_inner_product(${a}, ${a}) = 0 OR array_inner_product(${b}, ${b}) = 0 THEN CAST(1 AS FLOAT) ` +
    `ELSE array_cosine_distance(${a}, ${b}) END)`
  );
}

/** The scalar functions of the compiled executor; it says what they take and give. */
export const SCALAR_WRITERS: Readonly<Record<string, CallWriter>> = {
  upper: named('upper'),
  lower: named('lower'),
  initcap: ([value = '']) =>
    `array_to_string(list_transform(regexp_extract_all(${value}, '[\\pL\\pN]+|[^\\pL\\pN]+'), lambda part: upper(part[1]) || lower(part[2:])), '')`,
  reverse: named('reverse'),
  length,
  char_length: length,
  character_length: length,
  octet_length: octets,
  bit_length: ([value = '']) => `CAST(bit_length(${value}) AS INTEGER)`,
  ascii: ([value = '']) => `(CASE WHEN ${value} = '' THEN 0 ELSE unicode(${value}) END)`,
  chr: ([code]) => `chr(${integer(code)})`,
  md5: named('md5'),
  substr: substring,
  substring,
  left: named('left'),
  right: named('right'),
  trim: named('trim'),
  btrim: named('trim'),
  ltrim: named('ltrim'),
  rtrim: named('rtrim'),
  replace: ([value = '', from = '', to = '']) =>
    `(CASE WHEN ${from} = '' AND ${to} IS NOT NULL THEN ${value} ELSE replace(${value}, ${from}, ${to}) END)`,
  translate: named('translate'),
  repeat: ([value = '', count = '']) => `repeat(${value}, greatest(${count}, 0))`,
  lpad: padded('lpad'),
  rpad: padded('rpad'),
  position: typed('strpos'),
  strpos: typed('strpos'),
  starts_with: named('starts_with'),
  ends_with: named('suffix'),
  contains: named('contains'),
  split_part: splitPart,
  to_hex: ([value = ''], { operands }) =>
    operands[0]?.kind === 'bigint' ? `lower(to_hex(${value}))` : `lower(to_hex(CAST(${value} AS BIGINT) & CAST(4294967295 AS BIGINT)))`,
  abs: typed('abs'),
  round: rounded('round'),
  trunc: rounded('trunc'),
  ceil: typed('ceil'),
  ceiling: typed('ceil'),
  floor: typed('floor'),
  power,
  pow: power,
  sqrt: named('sqrt'),
  cbrt: named('cbrt'),
  exp: ([value = '']) => `(CASE WHEN ${value} > 709.782712893384 THEN error('value out of range: overflow') ELSE exp(${value}) END)`,
  ln: named('ln'),
  log: named('log'),
  log10: named('log10'),
  log2: named('log2'),
  sign: typed('sign'),
  pi: named('pi'),
  degrees: named('degrees'),
  radians: named('radians'),
  sin: named('sin'),
  cos: named('cos'),
  tan: named('tan'),
  asin: named('asin'),
  acos: named('acos'),
  atan: named('atan'),
  atan2: named('atan2'),
  date_trunc: dateTrunc,
  date_part: datePart,
  extract: datePart,
  to_timestamp: ([seconds = '']) => `make_timestamp(CAST(round(${seconds} * 1000000) AS BIGINT))`,
  random: named('random'),
  uuid_v7: () => 'CAST(uuidv7() AS VARCHAR)',
  cosine_distance: cosineDistance,
};

/** A function that only this executor has: what its arguments become, and its result. */
export interface FurtherFunction {
  readonly arguments: readonly DataType[];
  /** How many of the last arguments may be left out. */
  readonly optional: number;
  readonly result: DataType;
  readonly write: CallWriter;
}

const text = plainType('text');
const double = plainType('double');
const bigint = plainType('bigint');

function further(takes: readonly DataType[], result: DataType, write: CallWriter, optional = 0): FurtherFunction {
  return { arguments: takes, optional, result, write };
}

/** PostgreSQL's functions beyond those of the compiled executor. */
export const FURTHER_FUNCTIONS: Readonly<Record<string, FurtherFunction>> = {
  regexp_replace: further([text, text, text, text], text, named('regexp_replace'), 1),
  regexp_like: further([text, text, text], plainType('boolean'), named('regexp_matches'), 1),
  regexp_substr: further([text, text], text, ([value = '', pattern = '']) => `nullif(regexp_extract(${value}, ${pattern}), '')`),
  overlay: further(
    [text, text, bigint, bigint],
    text,
    ([value = '', by = '', from = '', count]) =>
      `(left(${value}, ${from} - 1) || ${by} || substr(${value}, ${from} + ${count ?? `length(${by})`}))`,
    1,
  ),
  sha256: further([plainType('bytes')], plainType('bytes'), ([value = '']) => `from_hex(sha256(${value}))`),
  quote_literal: further([text], text, ([value = '']) => `('''' || replace(${value}, '''', '''''') || '''')`),
  quote_ident: further([text], text, ([value = '']) => `('"' || replace(${value}, '"', '""') || '"')`),
  gcd: further([bigint, bigint], bigint, typed('gcd')),
  lcm: further([bigint, bigint], bigint, typed('lcm')),
  sinh: further([double], double, named('sinh')),
  cosh: further([double], double, named('cosh')),
  tanh: further([double], double, named('tanh')),
  asinh: further([double], double, named('asinh')),
  acosh: further([double], double, named('acosh')),
  atanh: further([double], double, named('atanh')),
  cot: further([double], double, named('cot')),
  make_date: further([bigint, bigint, bigint], plainType('date'), named('make_date')),
  make_timestamp: further([bigint, bigint, bigint, bigint, bigint, double], plainType('timestamp'), named('make_timestamp')),
};

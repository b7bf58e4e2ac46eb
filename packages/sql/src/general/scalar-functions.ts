import { type Cell, type DataType, duckdbType, kalamError, plainType } from '@kalamdb/protocol';
import type { CallWriter } from './call-writer.ts';
import { rounded } from './rounding.ts';
import { identifierText, literalText } from './text-format.ts';
import { datePart, dateTrunc } from './time-calls.ts';

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

/** An empty delimiter leaves the text whole. */
const splitPart: CallWriter = ([value = '', delimiter = '', part = '']) =>
  `(CASE WHEN ${part} = 0 THEN error('field position must not be zero') ` +
  `WHEN ${delimiter} = '' THEN (CASE WHEN ${part} IN (1, -1) THEN ${value} ELSE left(${value}, 0) END) ` +
  `ELSE split_part(${value}, ${delimiter}, ${integer(part)}) END)`;

const power: CallWriter = ([base = '', exponent = '']) =>
  `(CASE WHEN ${base} = 0 AND ${exponent} < 0 THEN error('zero raised to a negative power is undefined') ` +
  `WHEN ${base} < 0 AND ${exponent} <> trunc(${exponent}) THEN error('a negative number raised to a non-integer power yields a complex result') ` +
  `ELSE list_transform([pow(${base}, ${exponent})], lambda p: CASE WHEN isinf(p) THEN error('value out of range: overflow') ELSE p END)[1] END)`;

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

const bytes = plainType('bytes');
const text = plainType('text');
const double = plainType('double');
const bigint = plainType('bigint');

function further(takes: readonly DataType[], result: DataType, write: CallWriter, optional = 0): FurtherFunction {
  return { arguments: takes, optional, result, write };
}

/** Bytes as a text: PostgreSQL ends the lines of base64 after 76 characters. */
function encoded(value: string, format: Cell | undefined): string {
  if (format === 'hex') return `lower(hex(${value}))`;
  if (format === 'base64') return `rtrim(regexp_replace(base64(${value}), '(.{76})', '\\1' || chr(10), 'g'), chr(10))`;
  throw kalamError('NOT_IMPLEMENTED', { what: 'ENCODE with a format other than hex and base64' });
}

function decoded(value: string, format: Cell | undefined): string {
  if (format === 'hex') return `from_hex(${value})`;
  if (format === 'base64') return `from_base64(replace(${value}, chr(10), ''))`;
  throw kalamError('NOT_IMPLEMENTED', { what: 'DECODE with a format other than hex and base64' });
}

/** The one of equally wide buckets between two bounds, which may be either way round; 0 below and one more above. */
const widthBucket: CallWriter = ([value = '', low = '', high = '', count = '']) =>
  `(CASE WHEN ${low} < ${high} THEN (CASE WHEN ${value} < ${low} THEN 0 WHEN ${value} >= ${high} THEN ${count} + 1 ` +
  `ELSE CAST(floor((${value} - ${low}) / (${high} - ${low}) * ${count}) AS BIGINT) + 1 END) ` +
  `ELSE (CASE WHEN ${value} > ${low} THEN 0 WHEN ${value} <= ${high} THEN ${count} + 1 ` +
  `ELSE CAST(floor((${low} - ${value}) / (${low} - ${high}) * ${count}) AS BIGINT) + 1 END) END)`;

/** Crockford's base 32: the statement's time in 10 characters, then 80 random bits in 16, for each row anew. */
const ulid: CallWriter = (_, { nowMicros }) => {
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  let rest = nowMicros / 1000n;
  let time = '';
  for (let index = 0; index < 10; index += 1) {
    time = alphabet.charAt(Number(rest % 32n)) + time;
    rest /= 32n;
  }
  const digit = (at: string): string => `(strpos('0123456789abcdef', substr(h, ${at}, 1)) - 1)`;
  const character = `substr('${alphabet}', CAST((${digit('2 * i - 1')} * 16 + ${digit('2 * i')}) % 32 + 1 AS BIGINT), 1)`;
  const characters = `list_transform(generate_series(CAST(1 AS BIGINT), CAST(16 AS BIGINT)), lambda i: ${character})`;
  return `list_transform([md5(CAST(uuid() AS VARCHAR))], lambda h: '${time}' || array_to_string(${characters}, ''))[1]`;
};

/** PostgreSQL's functions beyond those of the compiled executor. */
export const FURTHER_FUNCTIONS: Readonly<Record<string, FurtherFunction>> = {
  overlay: further(
    [text, text, bigint, bigint],
    text,
    ([value = '', by = '', from = '', count]) =>
      `(left(${value}, ${from} - 1) || ${by} || substr(${value}, ${from} + ${count ?? `length(${by})`}))`,
    1,
  ),
  sha256: further([plainType('bytes')], plainType('bytes'), ([value = '']) => `from_hex(sha256(${value}))`),
  quote_literal: further([text], text, ([value = '']) => literalText(value)),
  quote_nullable: further([text], text, ([value = '']) => `coalesce(${literalText(value)}, 'NULL')`),
  quote_ident: further([text], text, ([value = '']) => identifierText(value)),
  encode: further([bytes, text], text, ([value = ''], { constants }) => encoded(value, constants[1])),
  decode: further([text, text], bytes, ([value = ''], { constants }) => decoded(value, constants[1])),
  normalize: further([text], text, named('nfc_normalize')),
  to_number: further([text, text], double, ([value = '']) => `CAST(regexp_replace(${value}, '[^0-9.+-]', '', 'g') AS DOUBLE)`),
  make_time: further([bigint, bigint, double], plainType('time'), named('make_time')),
  isfinite: further(
    [plainType('timestamp')],
    plainType('boolean'),
    ([value = '']) => `(CASE WHEN ${value} IS NULL THEN NULL ELSE true END)`,
  ),
  sind: further([double], double, ([value = '']) => `sin(radians(${value}))`),
  cosd: further([double], double, ([value = '']) => `cos(radians(${value}))`),
  tand: further([double], double, ([value = '']) => `tan(radians(${value}))`),
  cotd: further([double], double, ([value = '']) => `cot(radians(${value}))`),
  asind: further([double], double, ([value = '']) => `degrees(asin(${value}))`),
  acosd: further([double], double, ([value = '']) => `degrees(acos(${value}))`),
  atand: further([double], double, ([value = '']) => `degrees(atan(${value}))`),
  factorial: further([bigint], bigint, ([value = '']) => `CAST(factorial(${integer(value)}) AS BIGINT)`),
  width_bucket: further([double, double, double, bigint], bigint, widthBucket),
  gen_random_uuid: further([], plainType('uuid'), () => 'uuid()'),
  ulid: further([], text, ulid),
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

import { type DataType, duckdbType, kalamError, plainType } from '@kalamdb/protocol';
import type { FuncCall, Node, SQLValueFunctionOp } from 'libpg-query';
import { arithmetic } from '../expression/arithmetic.ts';
import { coerce } from '../expression/common-type.ts';
import { USER_FUNCTIONS } from '../expression/functions/context-functions.ts';
import { functionCall } from '../expression/functions/registry.ts';
import { isInstant, isInteger, isNumeric, isTextual } from '../expression/type-families.ts';
import { VALUE_FUNCTIONS } from '../parser/postgres/calls.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { isAggregateName, writeAggregate } from './aggregate-calls.ts';
import { writeListCall } from './array-calls.ts';
import type { CallTypes } from './call-writer.ts';
import { writeExtreme } from './conditional-calls.ts';
import { constantText, quoteText } from './duckdb-text.ts';
import { asInterval, writeIntervalCall } from './intervals.ts';
import { writeJsonBuilder } from './json-build.ts';
import { jsonCall } from './json-calls.ts';
import { documentRows, writeDocumentCall } from './json-documents.ts';
import { formattedNumber } from './number-format.ts';
import { writeBinary, writeNullif } from './operators.ts';
import { foreignPiece, itemOf, type Piece, piece, typeOf } from './piece.ts';
import { writePart, writeRegularCall } from './regular-calls.ts';
import { FURTHER_FUNCTIONS, type FurtherFunction, SCALAR_WRITERS } from './scalar-functions.ts';
import type { Place } from './scope.ts';
import { plainText, writeFormat } from './text-format.ts';
import { formattedTime, readingFormat } from './time-format.ts';
import { isWindowName, writeWindowCall } from './window-calls.ts';

const MICROS_PER_DAY = 86_400_000_000n;

/** The one catalog, as information_schema calls it. */
const CATALOG = 'kalam';

/** The name of a function that is called; schemas other than pg_catalog are refused. */
export function callName(call: FuncCall, place: Place): string {
  const names = (call.funcname ?? []).map(nameText);
  const name = (names[0] === 'pg_catalog' ? names.slice(1) : names).join('.');
  return place.unit.source.name(name).toLowerCase();
}

/** A function call; unknown names are FUNCTION_NOT_FOUND. */
export function writeCall(call: FuncCall, place: Place): Piece {
  const name = callName(call, place);
  if (call.func_variadic === true) return place.unit.missing('VARIADIC', call.location);
  if (isWindowName(name) || call.over !== undefined) return writeWindowCall(name, call, place);
  if (isAggregateName(name)) return writeAggregate(name, call, place);
  if (call.agg_star === true || call.agg_distinct === true || call.agg_filter !== undefined || call.agg_order !== undefined) {
    throw kalamError('AGGREGATE_MISUSE', { reason: `${name} is not an aggregate function: it takes no *, DISTINCT or FILTER` });
  }
  return writeFunction(name, writeArguments(name, call.args ?? [], place), place);
}

/** A scalar function over pieces. Throws FUNCTION_NOT_FOUND and what its arguments are refused with. */
export function writeFunction(name: string, operands: readonly Piece[], place: Place): Piece {
  return writeSpecial(name, operands, place) ?? writeScalar(name, operands, place);
}

/** Functions whose arguments have names, in their order. */
const NAMED_ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  make_interval: ['years', 'months', 'weeks', 'days', 'hours', 'mins', 'secs'],
};

function writeArguments(name: string, nodes: readonly Node[], place: Place): readonly Piece[] {
  const names = Object.hasOwn(NAMED_ARGUMENTS, name) ? NAMED_ARGUMENTS[name] : undefined;
  const operands: Piece[] = [];
  for (const node of nodes) {
    if (!('NamedArgExpr' in node)) {
      operands.push(place.writer.expression(node, place));
      continue;
    }
    const { name: given = '', arg, location } = node.NamedArgExpr;
    const index = names?.indexOf(given) ?? -1;
    if (index < operands.length || arg === undefined) return place.unit.missing('this named argument', location);
    while (operands.length < index) operands.push(place.unit.values.literal('integer', '0', 0));
    operands.push(place.writer.expression(arg, place));
  }
  return operands;
}

/** A keyword that stands for a value. */
export function writeValueFunction(op: SQLValueFunctionOp | undefined, place: Place): Piece {
  return writeContext(op === undefined ? 'current_user' : VALUE_FUNCTIONS[op], place) ?? writeScalar(String(op), [], place);
}

/** Who asks and when. */
function writeContext(name: string, place: Place): Piece | undefined {
  const { unit } = place;
  const { plan } = unit;
  const { userId, role, nowMicros } = plan.request;
  if (USER_FUNCTIONS.has(name)) {
    plan.mentionsUser = true;
    return piece(constantText(name.endsWith('role') ? role : userId, plainType('text')), plainType('text'));
  }
  switch (name) {
    case 'now':
    case 'current_timestamp':
    case 'localtimestamp':
    case 'transaction_timestamp':
    case 'statement_timestamp':
    case 'clock_timestamp':
      return piece(constantText(nowMicros, plainType('timestamp')), plainType('timestamp'));
    case 'current_schema':
      return piece(quoteText(unit.namespace), plainType('text'));
    case 'current_database':
    case 'current_catalog':
      return piece(quoteText(CATALOG), plainType('text'));
    case 'snowflake_id':
      return writeSnowflakeId(place);
    case 'current_date':
      return piece(constantText(Number(nowMicros / MICROS_PER_DAY), plainType('date')), plainType('date'));
    case 'current_time':
    case 'localtime':
      return piece(constantText(Number(nowMicros % MICROS_PER_DAY), plainType('time')), plainType('time'));
    default:
      return undefined;
  }
}

/** Rows of a query that SNOWFLAKE_ID() has an id for: as many ids are taken whenever it is written. */
const SNOWFLAKE_ROWS_MAX = 131_072;

/** An id of its own for every row of a select list. */
function writeSnowflakeId({ unit, noAggregates, scopes }: Place): Piece {
  const { ids } = unit.plan.request;
  if (ids === undefined || noAggregates !== undefined || scopes.length > 1)
    return unit.missing('SNOWFLAKE_ID() in this place of a query', undefined);
  const first = ids.take(SNOWFLAKE_ROWS_MAX).at(0);
  const [base, counter] = [first >> 12n, first & 4095n];
  // The counter has the last 12 bits, the node the 10 before it.
  const id = `(CAST(${base} AS BIGINT) + p // 4096 * 1024) * 4096 + p % 4096`;
  const place = `row_number() OVER () - 1`;
  const bounded = `(CASE WHEN p - ${counter} >= ${SNOWFLAKE_ROWS_MAX} THEN error('SNOWFLAKE_ID() has no more ids for this query') ELSE ${id} END)`;
  return piece(`list_transform([${place} + ${counter}], lambda p: ${bounded})[1]`, plainType('bigint'));
}

/** Functions whose result depends on all of their arguments. */
function writeSpecial(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const [first, second] = operands;
  if (first === undefined) return writeContext(name, place);
  switch (name) {
    case 'coalesce':
    case 'ifnull':
    case 'nvl':
      return writeExtreme('coalesce', operands, place);
    case 'greatest':
    case 'least':
      return writeExtreme(name, operands, place);
    case 'nullif':
      return second === undefined || operands.length > 2 ? undefined : writeNullif(first, second, place);
    case 'mod':
      return second === undefined || operands.length > 2 ? undefined : writeBinary('%', first, second, place);
    case 'div':
      return second === undefined || operands.length > 2 ? undefined : writeDivision(first, second, place);
    case 'concat':
      return writeConcat(undefined, operands, place);
    case 'to_char':
      return second === undefined || operands.length > 2 ? undefined : writeToChar(first, second, place);
    case 'concat_ws':
      return writeConcat(first, operands.slice(1), place);
    case 'format':
      return writeFormat(operands, place);
    case 'substring':
      if (second === undefined || !isPattern(second)) return undefined;
      return operands.length === 2 ? writePart(first, second, place) : refuseSimilar(second, place);
    case 'num_nulls':
    case 'num_nonnulls':
      return piece(`CAST(${operands.map((of) => countedNull(name, of)).join(' + ')} AS BIGINT)`, plainType('bigint'));
    case 'timezone':
      return second === undefined || operands.length > 2 ? undefined : writeZone(first, second, place);
    case 'to_date':
    case 'to_timestamp':
      return second === undefined || operands.length > 2 ? undefined : writeReading(name, first, second, place);
    case 'overlaps':
      return writeOverlaps(operands, place);
    default:
      return writeFamily(name, operands, place);
  }
}

/** Families of functions that have a module each. */
function writeFamily(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  return (
    writeRows(name, operands, place) ??
    writeListCall(name, operands, place) ??
    writeIntervalCall(name, operands, place) ??
    writeJsonBuilder(name, operands, place) ??
    writeDocumentCall(name, operands, place) ??
    writeRegularCall(name, operands, place)
  );
}

function countedNull(name: 'num_nulls' | 'num_nonnulls', { text }: Piece): string {
  return `CAST(${text} IS ${name === 'num_nulls' ? '' : 'NOT '}NULL AS BIGINT)`;
}

/** `substring(x SIMILAR pattern ESCAPE e)` has three arguments as that by position has. */
function refuseSimilar(second: Piece, { unit }: Place): undefined {
  const written = unit.values.constant(second);
  return typeof written === 'string' && Number.isNaN(Number(written)) ? unit.missing('SUBSTRING with SIMILAR', undefined) : undefined;
}

function isPattern({ typed }: Piece): boolean {
  return typed !== undefined && isTextual(typed.type);
}

/** TIMESTAMP has no zone and means UTC, so that is the only one a time can be taken to. */
function writeZone(zone: Piece, time: Piece, { unit }: Place): Piece {
  const name = unit.values.constant(zone);
  if (typeof name !== 'string' || !/^(utc|gmt|z|etc\/utc|\+?00(:?00)?)$/i.test(name))
    return unit.missing('AT TIME ZONE other than UTC', undefined);
  return piece(unit.values.as(time, plainType('timestamp')), plainType('timestamp'));
}

/** A time read from a text by a format as written. */
function writeReading(name: string, value: Piece, format: Piece, { unit }: Place): Piece {
  const written = unit.values.constant(format);
  const pattern = typeof written === 'string' ? readingFormat(written) : undefined;
  if (pattern === undefined) return unit.missing(`${name.toUpperCase()} with this format`, undefined);
  const time = `strptime(${unit.values.as(value, plainType('text'))}, ${quoteText(pattern)})`;
  const type = plainType(name === 'to_date' ? 'date' : 'timestamp');
  return piece(`CAST(${time} AS ${duckdbType(type)})`, type);
}

/** `(a, b) OVERLAPS (c, d)`: times with ends, or with how long they last. */
function writeOverlaps(operands: readonly Piece[], place: Place): Piece | undefined {
  const [a, b, c, d] = operands;
  if (a === undefined || b === undefined || c === undefined || d === undefined) return undefined;
  const timestamp = plainType('timestamp');
  const end = (start: Piece, of: Piece): string =>
    place.unit.values.as(of.foreign === 'interval' ? writeBinary('+', start, of, place) : of, timestamp);
  const [from, other] = [a, c].map((start) => place.unit.values.as(start, timestamp));
  const [to, until] = [end(a, b), end(c, d)];
  const [first, last] = [`least(${from}, ${to})`, `greatest(${from}, ${to})`];
  const [start, stop] = [`least(${other}, ${until})`, `greatest(${other}, ${until})`];
  return piece(`(CASE WHEN ${first} = ${start} THEN true ELSE ${first} < ${stop} AND ${start} < ${last} END)`, plainType('boolean'));
}

function writeDivision(left: Piece, right: Piece, place: Place): Piece {
  if (left.typed !== undefined && right.typed !== undefined) arithmetic('/', left.typed, right.typed, 0);
  const quotient = writeBinary('/', left, right, place);
  return { ...quotient, text: `trunc(${quotient.text})` };
}

function writeConcat(separator: Piece | undefined, operands: readonly Piece[], place: Place): Piece {
  const text = plainType('text');
  const head = separator === undefined ? [] : [place.unit.values.as(separator, text)];
  const parts = operands.map((operand) => plainText(operand, place));
  if (parts.length === 0) return piece("''", text);
  return piece(`${separator === undefined ? 'concat' : 'concat_ws'}(${[...head, ...parts].join(', ')})`, text);
}

/** TO_CHAR of a time or a number with a format as written. */
function writeToChar(value: Piece, format: Piece, { unit }: Place): Piece {
  const text = plainType('text');
  const written = unit.values.constant(format);
  const type = typeOf(value);
  if (typeof written !== 'string') return unit.missing('TO_CHAR with a computed format', undefined);
  if (type === undefined && value.foreign !== 'interval') return unit.missing('TO_CHAR of this value', undefined);
  const isNumber = type !== undefined && isNumeric(type);
  const made = isNumber
    ? formattedNumber(unit.values.as(value, type), written)
    : formattedTime(
        type === undefined ? `(CAST('0001-01-01' AS TIMESTAMP) + ${value.text})` : unit.values.as(value, plainType('timestamp')),
        written,
      );
  if (made === undefined || (type === undefined && /[YMDJQWC](?!I|S)/i.test(written.replace(/HH24|HH12|HH|MI|SS|MS|US|AM|PM/gi, ''))))
    return unit.missing(`TO_CHAR with the format '${written}'`, undefined);
  return piece(made, text);
}

/** Functions that make rows of a list, in a select list. */
function writeRows(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  if (name === 'generate_series') {
    const series = writeSeries(operands, place);
    return itemOf(series, `unnest(${series.text})`);
  }
  const rows = documentRows(name, operands, place);
  const [column, second] = rows?.columns ?? [];
  if (column === undefined) return undefined;
  if (second !== undefined) return place.unit.missing(`${name} in a select list`, undefined);
  return itemOf(column.list, `unnest(${column.list.text})`);
}

/** The list that `generate_series` stands for: whole numbers, or times with an interval. */
export function writeSeries(operands: readonly Piece[], place: Place): Piece {
  const { unit } = place;
  const [first, second, step] = operands;
  if (first === undefined || second === undefined || operands.length > 3)
    throw kalamError('FUNCTION_NOT_FOUND', { name: 'generate_series' });
  const type = typeOf(first);
  if (step !== undefined && type !== undefined && (step.foreign === 'interval' || isInstant(type) || type.kind === 'date')) {
    const timestamp = plainType('timestamp');
    const [from, to] = [unit.values.as(first, timestamp), unit.values.as(second, timestamp)];
    return foreignPiece(`generate_series(${from}, ${to}, ${asInterval(step, place).text})`, 'list', timestamp);
  }
  if (type !== undefined && [first, second, step].some((of) => of !== undefined && isFraction(of))) return writeFractions(operands, place);
  if (type === undefined) throw kalamError('FUNCTION_NOT_FOUND', { name: 'generate_series' });
  const bigint = plainType('bigint');
  return foreignPiece(`generate_series(${operands.map((operand) => unit.values.as(operand, bigint)).join(', ')})`, 'list', bigint);
}

function isFraction(of: Piece): boolean {
  const type = typeOf(of);
  return type !== undefined && isNumeric(type) && !isInteger(type);
}

/** A series of numbers with fractions. */
function writeFractions([first, second, step]: readonly Piece[], { unit }: Place): Piece {
  const double = plainType('double');
  const [from, to, by] = [first, second, step ?? unit.values.literal('integer', '1', 0)].map((of) =>
    of === undefined ? '0' : unit.values.as(of, double),
  );
  const count = `CAST(floor(((${to}) - (${from})) / (${by}) + CAST('1e-9' AS DOUBLE)) AS BIGINT)`;
  return foreignPiece(`list_transform(generate_series(CAST(0 AS BIGINT), ${count}), lambda i: ${from} + i * ${by})`, 'list', double);
}

/** A scalar function; the compiled binder says whether its arguments fit and what it gives. */
function writeScalar(name: string, operands: readonly Piece[], { unit }: Place): Piece {
  const { values } = unit;
  const extra = Object.hasOwn(FURTHER_FUNCTIONS, name) ? FURTHER_FUNCTIONS[name] : undefined;
  if (extra !== undefined) return writeFurther(name, extra, operands, unit);
  const nodes = operands.map((operand) => operand.typed ?? notFound(name));
  if (name === 'cosine_distance') return writeDistance(operands, values);
  const node = functionCall(name, nodes, 0);
  if (name.startsWith('json_')) return jsonCall(name, operands, values);
  const write = Object.hasOwn(SCALAR_WRITERS, name) ? SCALAR_WRITERS[name] : undefined;
  if (write === undefined) return notFound(name);
  const made = node.kind === 'operation' ? node.operands : [];
  const types: CallTypes = {
    result: node.type,
    operands: made.map(({ type }) => type),
    constants: operands.map((operand) => values.constant(operand)),
    nowMicros: unit.plan.request.nowMicros,
  };
  const texts = values
    .operands(node, operands)
    .map((text, index) => (made[index]?.type.kind === 'uuid' ? `CAST(${text} AS VARCHAR)` : text));
  return piece(write(texts, types), node.type);
}

function notFound(name: string): never {
  throw kalamError('FUNCTION_NOT_FOUND', { name });
}

function writeFurther(name: string, extra: FurtherFunction, operands: readonly Piece[], { values, plan }: Place['unit']): Piece {
  const missing = extra.arguments.length - operands.length;
  if (missing < 0 || missing > extra.optional) return notFound(name);
  const texts = operands.map((operand, index) => values.as(operand, extra.arguments[index] ?? plainType('text')));
  const constants = operands.map((operand) => values.constant(operand));
  const { nowMicros } = plan.request;
  return piece(extra.write(texts, { result: extra.result, operands: extra.arguments, constants, nowMicros }), extra.result);
}

/** The one vector as the other's type. */
function writeDistance(operands: readonly Piece[], values: Place['unit']['values']): Piece {
  const type: DataType | undefined = operands.map(typeOf).find((of) => of?.kind === 'embedding');
  const write = SCALAR_WRITERS['cosine_distance'];
  if (operands.length !== 2 || type === undefined || write === undefined) return notFound('cosine_distance');
  const texts = operands.map((operand) =>
    operand.typed?.kind === 'value' ? values.coerced(operand, coerce(operand.typed, type, 'implicit')) : operand.text,
  );
  return piece(write(texts, { result: plainType('float'), operands: [], constants: [], nowMicros: 0n }), plainType('float'));
}

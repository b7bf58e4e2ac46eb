import { type DataType, kalamError, plainType } from '@kalamdb/protocol';
import type { FuncCall, Node, SQLValueFunctionOp } from 'libpg-query';
import { arithmetic } from '../expression/arithmetic.ts';
import { coerce } from '../expression/common-type.ts';
import { USER_FUNCTIONS } from '../expression/functions/context-functions.ts';
import { functionCall } from '../expression/functions/registry.ts';
import { isNumeric } from '../expression/type-families.ts';
import { VALUE_FUNCTIONS } from '../parser/postgres/calls.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { isAggregateName, writeAggregate } from './aggregate-calls.ts';
import { writeExtreme } from './conditional-calls.ts';
import { constantText, quoteText } from './duckdb-text.ts';
import { jsonCall } from './json-calls.ts';
import { writeBinary, writeNullif } from './operators.ts';
import { foreignPiece, type Piece, piece, typeOf } from './piece.ts';
import { type CallTypes, FURTHER_FUNCTIONS, type FurtherFunction, SCALAR_WRITERS } from './scalar-functions.ts';
import type { Place } from './scope.ts';
import { timeFormat } from './time-format.ts';
import { isWindowName, writeWindowCall } from './window-calls.ts';

const MICROS_PER_DAY = 86_400_000_000n;

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
  const operands = (call.args ?? []).map((argument) => writeArgument(argument, place));
  return writeSpecial(name, operands, place) ?? writeScalar(name, operands, place);
}

function writeArgument(argument: Node, place: Place): Piece {
  if ('NamedArgExpr' in argument) return place.unit.missing('named arguments', argument.NamedArgExpr.location);
  return place.writer.expression(argument, place);
}

/** A keyword that stands for a value. */
export function writeValueFunction(op: SQLValueFunctionOp | undefined, place: Place): Piece {
  return writeContext(op === undefined ? 'current_user' : VALUE_FUNCTIONS[op], place) ?? writeScalar(String(op), [], place);
}

/** Who asks and when. */
function writeContext(name: string, { unit }: Place): Piece | undefined {
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
    case 'current_date':
      return piece(constantText(Number(nowMicros / MICROS_PER_DAY), plainType('date')), plainType('date'));
    case 'current_time':
    case 'localtime':
      return piece(constantText(Number(nowMicros % MICROS_PER_DAY), plainType('time')), plainType('time'));
    default:
      return undefined;
  }
}

/** Functions whose result depends on all of their arguments, and those of lists. */
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
    default:
      return writeList(name, operands, place) ?? writeInterval(name, operands);
  }
}

function writeDivision(left: Piece, right: Piece, place: Place): Piece {
  if (left.typed !== undefined && right.typed !== undefined) arithmetic('/', left.typed, right.typed, 0);
  const quotient = writeBinary('/', left, right, place);
  return { ...quotient, text: `trunc(${quotient.text})` };
}

/** Here PostgreSQL writes booleans as `t` and `f`. */
function writeConcat(separator: Piece | undefined, operands: readonly Piece[], { unit }: Place): Piece {
  const text = plainType('text');
  const parts = operands.map((operand) => {
    const cell = unit.values.as(operand, text, 'explicit');
    return typeOf(operand)?.kind === 'boolean' ? `left(${cell}, 1)` : cell;
  });
  const head = separator === undefined ? [] : [unit.values.as(separator, text)];
  if (parts.length === 0) return piece("''", text);
  return piece(`${separator === undefined ? 'concat' : 'concat_ws'}(${[...head, ...parts].join(', ')})`, text);
}

/** TO_CHAR of a time with a format as written. */
function writeToChar(value: Piece, format: Piece, { unit }: Place): Piece {
  const written = unit.values.constant(format);
  const type = typeOf(value);
  if (typeof written !== 'string' || type === undefined) return unit.missing('TO_CHAR with a computed format', undefined);
  if (isNumeric(type)) return unit.missing('TO_CHAR of a number', undefined);
  const pattern = timeFormat(written);
  if (pattern === undefined) return unit.missing(`TO_CHAR with the format '${written}'`, undefined);
  return piece(`strftime(${unit.values.as(value, plainType('timestamp'))}, ${quoteText(pattern)})`, plainType('text'));
}

/** Functions over lists; `unnest` and `generate_series` make rows of them in a select list too. */
function writeList(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const [first, second] = operands;
  const bigint = plainType('bigint');
  if (name === 'generate_series') {
    const series = writeSeries(operands, place);
    return series.element === undefined ? undefined : piece(`unnest(${series.text})`, series.element);
  }
  if (name === 'string_to_array' && first !== undefined && second !== undefined && operands.length === 2) {
    const text = plainType('text');
    return foreignPiece(`string_split(${place.unit.values.as(first, text)}, ${place.unit.values.as(second, text)})`, 'list', text);
  }
  if (first?.foreign !== 'list') return undefined;
  if (name === 'unnest' && operands.length === 1 && first.element !== undefined) return piece(`unnest(${first.text})`, first.element);
  if (name === 'cardinality' || name === 'array_length') return piece(`CAST(len(${first.text}) AS BIGINT)`, bigint);
  if (name === 'array_to_string' && second !== undefined) {
    return piece(`array_to_string(${first.text}, ${place.unit.values.as(second, plainType('text'))})`, plainType('text'));
  }
  return undefined;
}

/** The list that `generate_series` stands for: whole numbers, or times with an interval. */
export function writeSeries(operands: readonly Piece[], { unit }: Place): Piece {
  const [first, second, step] = operands;
  if (first === undefined || second === undefined || operands.length > 3)
    throw kalamError('FUNCTION_NOT_FOUND', { name: 'generate_series' });
  const type = typeOf(first);
  if (step?.foreign === 'interval') {
    const timestamp = plainType('timestamp');
    const [from, to] = [unit.values.as(first, timestamp), unit.values.as(second, timestamp)];
    return foreignPiece(`generate_series(${from}, ${to}, ${step.text})`, 'list', timestamp);
  }
  if (type === undefined) throw kalamError('FUNCTION_NOT_FOUND', { name: 'generate_series' });
  const bigint = plainType('bigint');
  return foreignPiece(`generate_series(${operands.map((operand) => unit.values.as(operand, bigint)).join(', ')})`, 'list', bigint);
}

function writeInterval(name: string, [first, second]: readonly Piece[]): Piece | undefined {
  const from = first === undefined ? undefined : typeOf(first)?.kind;
  const to = second === undefined ? undefined : typeOf(second)?.kind;
  if (name === 'age' && first !== undefined && second !== undefined && from !== undefined && to !== undefined) {
    return foreignPiece(`age(CAST(${first.text} AS TIMESTAMP), CAST(${second.text} AS TIMESTAMP))`, 'interval');
  }
  const [words, value] = [first, second];
  if ((name === 'extract' || name === 'date_part') && words !== undefined && value?.foreign === 'interval') {
    return piece(`CAST(date_part(${words.text}, ${value.text}) AS DOUBLE)`, plainType('double'));
  }
  return undefined;
}

/** A scalar function; the compiled binder says whether its arguments fit and what it gives. */
function writeScalar(name: string, operands: readonly Piece[], { unit }: Place): Piece {
  const { values } = unit;
  if (name === 'snowflake_id' || name === 'ulid') return unit.missing(`${name.toUpperCase()}() in a query of this kind`, undefined);
  const extra = Object.hasOwn(FURTHER_FUNCTIONS, name) ? FURTHER_FUNCTIONS[name] : undefined;
  if (extra !== undefined) return writeFurther(name, extra, operands, unit.values);
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
    words: operands.map((operand) => {
      const cell = values.constant(operand);
      return typeof cell === 'string' ? cell : undefined;
    }),
  };
  const texts = values
    .operands(node, operands)
    .map((text, index) => (made[index]?.type.kind === 'uuid' ? `CAST(${text} AS VARCHAR)` : text));
  return piece(write(texts, types), node.type);
}

function notFound(name: string): never {
  throw kalamError('FUNCTION_NOT_FOUND', { name });
}

function writeFurther(name: string, extra: FurtherFunction, operands: readonly Piece[], values: Place['unit']['values']): Piece {
  const missing = extra.arguments.length - operands.length;
  if (missing < 0 || missing > extra.optional) return notFound(name);
  const texts = operands.map((operand, index) => values.as(operand, extra.arguments[index] ?? plainType('text')));
  return piece(extra.write(texts, { result: extra.result, operands: extra.arguments, words: [] }), extra.result);
}

/** The one vector as the other's type. */
function writeDistance(operands: readonly Piece[], values: Place['unit']['values']): Piece {
  const type: DataType | undefined = operands.map(typeOf).find((of) => of?.kind === 'embedding');
  const write = SCALAR_WRITERS['cosine_distance'];
  if (operands.length !== 2 || type === undefined || write === undefined) return notFound('cosine_distance');
  const texts = operands.map((operand) =>
    operand.typed?.kind === 'value' ? values.coerced(operand, coerce(operand.typed, type, 'implicit')) : operand.text,
  );
  return piece(write(texts, { result: plainType('float'), operands: [], words: [] }), plainType('float'));
}

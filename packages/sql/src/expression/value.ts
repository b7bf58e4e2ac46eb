import {
  type Cell,
  cellFromText,
  cellToText,
  type DataType,
  kalamError,
  type NonNullCell,
  plainType,
  sqlTypeName,
} from '@kalamdb/protocol';
import type { LiteralKind, Position } from '../statement/ast.ts';
import { conversion, type Purpose } from './conversion.ts';
import {
  castInstant,
  decimalInRange,
  type ExactNumber,
  finite,
  float32,
  INT64_MAX,
  INT64_MIN,
  int64,
  parseExact,
  type Rounding,
  rescale,
  smallInteger,
} from './numeric.ts';
import type { Preparation } from './preparation.ts';
import { isInstant, isInteger, isNumeric, isTextual } from './type-families.ts';
import { constant, type Evaluator, type ParameterSource, type Typed, type ValueNode } from './typed.ts';

/** What a parameter is known to be when a statement is bound. Part of the plan cache's key. */
export interface ParameterInfo {
  readonly literal: LiteralKind;
  /** Fraction digits of a decimal; 0 otherwise. */
  readonly scale: number;
  /** Sent by the client, not lifted out of the text. */
  readonly client: boolean;
  /** Set for plans whose callers keep what is made of the parameters. */
  readonly preparation?: Preparation | undefined;
}

/**
 * Why a literal or parameter takes a type: see {@link Purpose}, or it is compared. Comparison with an exact number
 * asks for a rounding that leaves the comparison true to the number as written: `n < 1.5` over integers is `n < 2`.
 */
export type Intent = Purpose | Compared;
type Compared = 'exact' | 'floor' | 'ceil';

/** Larger than any cell that is a bigint: equal to none of them. */
const NO_BIGINT = 10n ** 40n;

/** Digits after the point, as the text has them. */
export function fractionDigits(text: string): number {
  return parseExact(text)?.scale ?? 0;
}

/**
 * The cell and kind that stand for a literal's text: an integer beyond 64 bits counts as a decimal; decimals stay texts so
 * that no digit is lost.
 */
export function literalValue(literal: LiteralKind, text: string): { readonly literal: LiteralKind; readonly cell: Cell } {
  switch (literal) {
    case 'null':
      return { literal, cell: null };
    case 'boolean':
      return { literal, cell: /^t/i.test(text) };
    case 'integer': {
      const cell = BigInt(text);
      return cell > INT64_MAX || cell < INT64_MIN ? { literal: 'decimal', cell: text } : { literal, cell };
    }
    case 'decimal':
    case 'string':
      return { literal, cell: text };
    default:
      return literal satisfies never;
  }
}

const DEFAULT_TYPES: Readonly<Record<LiteralKind, DataType>> = {
  null: plainType('text'),
  boolean: plainType('boolean'),
  integer: plainType('bigint'),
  decimal: plainType('double'),
  string: plainType('text'),
};

/** A literal's node. */
export function literalNode(kind: LiteralKind, text: string, position: Position): ValueNode {
  const { literal, cell } = literalValue(kind, text);
  return valueNode({ literal, scale: literal === 'decimal' ? fractionDigits(text) : 0, source: { cell }, negated: false, position });
}

/** A parameter's node. `index` is 1-based. */
export function parameterNode(index: number, info: ParameterInfo, position: Position): ValueNode {
  return valueNode({
    literal: info.literal,
    scale: info.scale,
    source: { parameter: index - 1, client: info.client, preparation: info.preparation },
    negated: false,
    position,
  });
}

/** The node for a minus sign before a number; `undefined` if it is not one. */
export function negatedValue(node: ValueNode): ValueNode | undefined {
  if (node.literal !== 'integer' && node.literal !== 'decimal') return undefined;
  if ('parameter' in node.source) return valueNode({ ...node, negated: !node.negated });
  const text = String(node.source.cell);
  const negative = text.startsWith('-') ? text.slice(1) : `-${text}`;
  return literalNode(/^-?\d+$/.test(negative) ? 'integer' : 'decimal', negative, node.position);
}

function valueNode(parts: Pick<ValueNode, 'literal' | 'scale' | 'source' | 'negated' | 'position'>): ValueNode {
  const type = DEFAULT_TYPES[parts.literal];
  const { source, literal, negated } = parts;
  if ('cell' in source) {
    const cell = source.cell === null ? null : valueCell(source.cell, literal, type, 'explicit');
    return { ...pick(parts), kind: 'value', type, stability: 'constant', evaluate: () => cell };
  }
  const index = source.parameter;
  const convert = valueReader(literal, negated, type, 'explicit');
  return {
    ...pick(parts),
    kind: 'value',
    type,
    stability: 'execution',
    evaluate: (_row, context) => convert(context.parameters[index] ?? null),
  };
}

function pick(parts: Pick<ValueNode, 'literal' | 'scale' | 'source' | 'negated' | 'position'>): typeof parts {
  return { literal: parts.literal, scale: parts.scale, source: parts.source, negated: parts.negated, position: parts.position };
}

/** Whether a value can take a type. Comparisons are stricter than assignments: numbers are not texts. */
export function valueFits(node: Pick<ValueNode, 'literal' | 'source'>, target: DataType, intent: Intent): boolean {
  const stored = intent === 'assignment' || intent === 'explicit';
  switch (node.literal) {
    case 'null':
    case 'string':
      return true;
    case 'boolean':
      return target.kind === 'boolean' || (stored && isWritable(target)) || (intent === 'explicit' && isInteger(target));
    case 'integer':
      if (isNumeric(target) || isInstant(target)) return true;
      return target.kind === 'boolean' ? intent === 'explicit' : isTextual(target) && (stored || isClient(node));
    case 'decimal':
      if (isInteger(target)) return intent !== 'implicit';
      return isNumeric(target) || (isWritable(target) && (stored || isClient(node)));
    default:
      return node.literal satisfies never;
  }
}

/** Types that take the text of any value. */
function isWritable(type: DataType): boolean {
  return isTextual(type) && type.kind !== 'uuid';
}

function isClient(node: Pick<ValueNode, 'source'>): boolean {
  return 'parameter' in node.source && node.source.client;
}

/** A literal or parameter as a value of a type. Throws TYPE_MISMATCH if it cannot be one, and for literals what {@link valueCell} throws. */
export function coerceValue(node: ValueNode, target: DataType, intent: Intent): Typed {
  if (!valueFits(node, target, intent)) throw mismatch(node.type, target);
  const { source } = node;
  if ('cell' in source) {
    return constant(target, source.cell === null ? null : valueCell(source.cell, node.literal, target, intent), node.position);
  }
  return {
    kind: 'operation',
    name: 'value',
    type: target,
    operands: [node],
    position: node.position,
    stability: 'execution',
    evaluate: parameterReader(source, valueReader(node.literal, node.negated, target, intent)),
  };
}

function parameterReader({ parameter, preparation }: ParameterSource, read: (cell: Cell) => Cell): Evaluator {
  if (preparation === undefined) return (_row, context) => read(context.parameters[parameter] ?? null);
  const index = preparation.cell((parameters) => read(parameters[parameter] ?? null));
  return (_row, context) => context.parameters[index] ?? null;
}

/** TYPE_MISMATCH between a type and the one that is wanted. */
export function mismatch(from: DataType, to: DataType): Error {
  return kalamError('TYPE_MISMATCH', { reason: `cannot use a value of type ${sqlTypeName(from)} as ${sqlTypeName(to)}` });
}

function valueReader(literal: LiteralKind, negated: boolean, target: DataType, intent: Intent): (cell: Cell) => Cell {
  if (literal === 'null') return () => null;
  return (cell) => {
    if (cell === null) return null;
    return valueCell(negated ? negate(cell) : cell, literal, target, intent);
  };
}

function negate(cell: NonNullCell): NonNullCell {
  if (typeof cell === 'bigint' || typeof cell === 'number') return -cell;
  const text = String(cell);
  return text.startsWith('-') ? text.slice(1) : `-${text}`;
}

/** The conversion of one value that {@link valueFits}. Throws INVALID_TEXT and VALUE_OUT_OF_RANGE. */
function valueCell(cell: NonNullCell, literal: LiteralKind, target: DataType, intent: Intent): Cell {
  switch (literal) {
    case 'string':
      return stringCell(String(cell), target, intent);
    case 'integer':
      if (typeof cell === 'bigint') return integerCell(cell, target, intent);
      return decimalCell(String(cell), target, intent);
    case 'decimal':
      return decimalCell(String(cell), target, intent);
    default:
      return (conversion(plainType('boolean'), target, 'explicit') ?? ((same) => same))(cell);
  }
}

/** Turns a value of one kind into a cell. Throws INVALID_TEXT and VALUE_OUT_OF_RANGE. */
export type ValueReader = (value: NonNullCell) => Cell;

/**
 * How the values of each kind go into a column of the type: as {@link coerceValue} brings them there, but for integers, which may
 * be numbers. `undefined`: they do not fit.
 */
export function storedReaders(target: DataType): Readonly<Record<Exclude<LiteralKind, 'null'>, ValueReader | undefined>> {
  const reader = (literal: Exclude<LiteralKind, 'null'>, read: ValueReader): ValueReader | undefined =>
    valueFits({ literal, source: { cell: null } }, target, 'assignment') ? read : undefined;
  return {
    boolean: reader('boolean', (value) => valueCell(value, 'boolean', target, 'assignment')),
    integer: reader('integer', integerReader(target)),
    decimal: reader('decimal', (value) => decimalCell(value as string, target, 'assignment')),
    string: reader('string', (value) => cellFromText(value as string, target)),
  };
}

/** Spares the usual columns the way over bigint. */
function integerReader(target: DataType): ValueReader {
  switch (target.kind) {
    case 'smallint':
    case 'int': {
      const { kind } = target;
      return (value) => smallInteger(Number(value), kind);
    }
    case 'double':
      return Number;
    default:
      return (value) => integerCell(BigInt(value as number | bigint), target, 'assignment');
  }
}

function isCompared(intent: Intent): intent is Compared {
  return intent === 'exact' || intent === 'floor' || intent === 'ceil';
}

function stringCell(text: string, target: DataType, intent: Intent): Cell {
  if (target.kind === 'text' && intent !== 'assignment') return text;
  if (target.kind === 'decimal' && isCompared(intent)) {
    const exact = parseExact(text.trim());
    if (exact !== undefined) return rescale(exact, target.scale, intent) ?? NO_BIGINT;
  }
  return cellFromText(text, target);
}

function integerCell(value: bigint, target: DataType, intent: Intent): Cell {
  const compared = isCompared(intent);
  switch (target.kind) {
    case 'smallint':
    case 'int':
      return compared ? Number(value) : smallInteger(Number(value), target.kind);
    case 'float':
      return compared ? Number(value) : float32(Number(value));
    case 'double':
      return Number(value);
    case 'bigint':
      return int64(value);
    case 'timestamp':
    case 'datetime':
      return intent === 'explicit' ? castInstant(value) : int64(value);
    case 'decimal': {
      const unscaled = rescale({ unscaled: value, scale: 0 }, target.scale, 'exact') ?? 0n;
      return compared ? unscaled : decimalInRange(unscaled, target.precision, target.scale);
    }
    case 'boolean':
      return value !== 0n;
    default:
      return target.kind === 'uuid' ? cellFromText(value.toString(), target) : value.toString();
  }
}

function decimalCell(text: string, target: DataType, intent: Intent): Cell {
  if (target.kind === 'double') return finite(Number(text));
  if (target.kind === 'float') return isCompared(intent) ? finite(Number(text)) : float32(Number(text));
  if (isTextual(target)) return cellToText(finite(Number(text)), plainType('double'));
  const exact = parseExact(text);
  if (exact === undefined) throw kalamError('VALUE_OUT_OF_RANGE', { value: text, type: sqlTypeName(target) });
  if (isCompared(intent)) return comparedNumber(exact, text, target, intent);
  if (target.kind === 'decimal') {
    return decimalInRange(rescale(exact, target.scale, 'half-away') ?? 0n, target.precision, target.scale);
  }
  const whole = rescale(exact, 0, intent === 'assignment' ? 'truncate' : 'half-away') ?? 0n;
  if (target.kind === 'smallint' || target.kind === 'int') return smallInteger(Number(whole), target.kind);
  return int64(whole);
}

function comparedNumber(exact: ExactNumber, text: string, target: DataType, rounding: Rounding): Cell {
  if (target.kind === 'smallint' || target.kind === 'int') return Number(text);
  return rescale(exact, target.kind === 'decimal' ? target.scale : 0, rounding) ?? NO_BIGINT;
}

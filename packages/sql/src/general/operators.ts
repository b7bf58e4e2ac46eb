import { type Cell, type DataType, duckdbType, kalamError, plainType } from '@kalamdb/protocol';
import type { A_Expr, Node } from 'libpg-query';
import { type ArithmeticOperator, arithmetic, identity, negation } from '../expression/arithmetic.ts';
import { comparison } from '../expression/comparison.ts';
import { jsonOperator, refuseJoinedDocuments } from '../expression/json-operators.ts';
import { distinctFrom } from '../expression/logic.ts';
import { isFloating, isInteger, isTextual } from '../expression/type-families.ts';
import type { Typed } from '../expression/typed.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { arrayElements, listOfText, writeListOperator } from './array-calls.ts';
import { constantText, joinedTexts } from './duckdb-text.ts';
import { withIntervals } from './intervals.ts';
import { jsonCall } from './json-calls.ts';
import { writeJsonOperator } from './json-documents.ts';
import { isComparison, writeComparison } from './meeting.ts';
import { writeLike, writeRegular, writeSimilar } from './patterns.ts';
import { foreignPiece, type Piece, piece, typeOf } from './piece.ts';
import { rowEntries, writeRowComparison } from './rows.ts';
import type { Place } from './scope.ts';

const boolean = plainType('boolean');
const text = plainType('text');
const bigint = plainType('bigint');

function isArithmetic(operator: string): operator is ArithmeticOperator {
  return operator === '+' || operator === '-' || operator === '*' || operator === '/' || operator === '%';
}

/** Everything that the grammar calls an operator. */
export function writeOperator(node: A_Expr, place: Place): Piece {
  const { unit } = place;
  const names = (node.name ?? []).map(nameText);
  const operator = names[names.length - 1] ?? '';
  const { lexpr, rexpr } = node;
  if (names.length > 1 && names[0] !== 'pg_catalog') return unit.missing(`operator ${names.join('.')}`, node.location);
  if (rexpr === undefined) return unit.missing('postfix operators', node.location);
  if (lexpr === undefined) return writePrefix(operator, rexpr, node, place);
  const [leftRow, rightRow] = [rowEntries(lexpr), rowEntries(rexpr)];
  if (node.kind === 'AEXPR_OP' && leftRow !== undefined && rightRow !== undefined && isComparison(operator))
    return writeRowComparison(operator, leftRow, rightRow, place);
  switch (node.kind) {
    case 'AEXPR_OP':
      return writeBinary(operator, place.writer.expression(lexpr, place), place.writer.expression(rexpr, place), place);
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
      return writeDistinct(node.kind === 'AEXPR_NOT_DISTINCT', [lexpr, rexpr], place);
    case 'AEXPR_NULLIF':
      return writeNullif(place.writer.expression(lexpr, place), place.writer.expression(rexpr, place), place);
    case 'AEXPR_IN':
      return writeIn(operator === '<>', lexpr, rexpr, place);
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return writeLike(node, lexpr, rexpr, place);
    case 'AEXPR_SIMILAR':
      return writeSimilar(operator.startsWith('!'), lexpr, rexpr, place);
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      return writeOverList(node, [lexpr, rexpr], place);
    default:
      return writeBetween(node, lexpr, rexpr, place);
  }
}

/** Prefix operators that are functions. */
const PREFIX_FUNCTIONS: Readonly<Record<string, string>> = { '|/': 'sqrt', '||/': 'cbrt', '@': 'abs' };

const BITS: Readonly<Record<string, (a: string, b: string) => string>> = {
  '&': (a, b) => `(${a} & ${b})`,
  '|': (a, b) => `(${a} | ${b})`,
  '#': (a, b) => `xor(${a}, ${b})`,
  // PostgreSQL takes the shift's last six bits, and lets bits fall out at the left.
  '<<': (a, b) =>
    `CAST(((CAST(${a} AS HUGEINT) << (${b} & 63)) & 18446744073709551615) - (CASE WHEN ((CAST(${a} AS HUGEINT) << (${b} & 63)) & 9223372036854775808) = 0 THEN 0 ELSE 18446744073709551616 END) AS BIGINT)`,
  '>>': (a, b) => `(${a} >> (${b} & 63))`,
};

/** Bits of whole numbers, powers and beginnings of texts; `undefined`: another operator. */
function writeBitOperator(operator: string, left: Piece, right: Piece, place: Place): Piece | undefined {
  if (operator === '^') return place.writer.call('power', [left, right], place);
  if (operator === '^@') return place.writer.call('starts_with', [left, right], place);
  const write = Object.hasOwn(BITS, operator) ? BITS[operator] : undefined;
  if (write === undefined) return undefined;
  const { values } = place.unit;
  return piece(write(values.as(left, bigint), values.as(right, bigint)), bigint);
}

function writePrefix(operator: string, operand: Node, node: A_Expr, place: Place): Piece {
  const { unit } = place;
  const inner = place.writer.expression(operand, place);
  const called = PREFIX_FUNCTIONS[operator];
  if (called !== undefined) return place.writer.call(called, [inner], place);
  if (operator === '~') return piece(`(~ ${unit.values.as(inner, bigint)})`, bigint);
  if (operator !== '-' && operator !== '+') return unit.missing(`operator ${operator}`, node.location);
  if (inner.typed === undefined)
    return inner.foreign === 'interval'
      ? foreignPiece(`(${operator} ${inner.text})`, 'interval')
      : unit.missing(`operator ${operator}`, node.location);
  if (operator === '+') {
    identity(inner.typed);
    return inner;
  }
  const negated = negation(inner.typed, unit.position(node.location));
  if (negated.kind === 'value') return unit.values.settle(negated);
  const operandText = inner.typed.kind === 'value' ? unit.values.as(inner, negated.type) : inner.text;
  return piece(`CAST((- ${operandText}) AS ${duckdbType(negated.type)})`, negated.type);
}

/** A binary operator over pieces. */
export function writeBinary(operator: string, left: Piece, right: Piece, place: Place): Piece {
  if (isComparison(operator)) return writeComparison(operator, left, right, place);
  const ofLists = writeListOperator(operator, left, right, place);
  if (ofLists !== undefined) return ofLists;
  if (operator === '||') return writeConcatenation(left, right, place);
  if (isArithmetic(operator)) return writeArithmetic(operator, left, right, place);
  if (operator === '->' || operator === '->>' || operator === '?') {
    if (left.typed === undefined || right.typed === undefined) return place.unit.missing(`operator ${operator}`, undefined);
    jsonOperator(operator, left.typed, right.typed, 0);
    return jsonCall(
      operator === '->' ? 'json_get_json' : operator === '->>' ? 'json_as_text' : 'json_contains',
      [left, right],
      place.unit.values,
    );
  }
  const other =
    writeRegular(operator, left, right, place) ??
    writeJsonOperator(operator, left, right, place) ??
    writeBitOperator(operator, left, right, place);
  return other ?? place.unit.missing(`operator ${operator}`, undefined);
}

function writeConcatenation(left: Piece, right: Piece, { unit }: Place): Piece {
  const [a, b] = [typeOf(left), typeOf(right)];
  if (left.typed !== undefined && right.typed !== undefined) refuseJoinedDocuments(left.typed, right.typed);
  if (a === undefined || b === undefined || (!isTextual(a) && !isTextual(b))) {
    throw kalamError('TYPE_MISMATCH', { reason: '|| takes texts' });
  }
  if (unit.values.constant(left) === null || unit.values.constant(right) === null) return piece('CAST(NULL AS VARCHAR)', text);
  return piece(joinedTexts([unit.values.as(left, text, 'explicit'), unit.values.as(right, text, 'explicit')]), text);
}

function writeArithmetic(operator: ArithmeticOperator, left: Piece, right: Piece, place: Place): Piece {
  const { values } = place.unit;
  const moved = withIntervals(operator, left, right, place);
  if (moved !== undefined) return moved;
  if (left.typed === undefined || right.typed === undefined) return place.unit.missing(`operator ${operator} here`, undefined);
  const [a, b] = [left.typed.type, right.typed.type];
  const swapped = a.kind !== 'date' && b.kind === 'date' && operator === '+';
  const operands = swapped ? [right, left] : [left, right];
  const node = arithmetic(operator, left.typed, right.typed, 0);
  const { type } = node;
  if (type.kind === 'date' || (a.kind === 'date' && b.kind === 'date')) {
    const [x = '', y = ''] = values.operands(node, operands);
    const days = type.kind === 'date' ? `CAST(${y} AS INTEGER)` : y;
    return piece(`CAST((${x} ${operator} ${days}) AS ${type.kind === 'date' ? 'DATE' : 'INTEGER'})`, type);
  }
  const [narrow = '', divisor = ''] = values.operands(node, operands);
  const x = widened(narrow, node, type);
  const divides = (operator === '/' || operator === '%') && !isNotZero(right, place);
  const symbol = operator === '/' && isInteger(type) ? '//' : operator;
  // The remainders by -1 and by 1 are the same; by -1 DuckDB fails for the least number.
  const y = operator === '%' && isInteger(type) ? `(CASE WHEN ${divisor} = -1 THEN 1 ELSE ${divisor} END)` : divisor;
  const result = divides ? guardedDivision(symbol, x, y) : `(${x} ${symbol} ${y})`;
  return piece(isInteger(type) || isFloating(type) ? result : `CAST(${result} AS ${duckdbType(type)})`, type);
}

/** Digits of the decimals that DuckDB keeps in 64 bits: it keeps results of two such in them too, and fails when they are longer. */
const DECIMAL_INT64_DIGITS = 18;

/** The first operand of decimals, wide enough that a result of more digits has room. */
function widened(operand: string, node: Typed, result: DataType): string {
  const first = node.kind === 'operation' ? node.operands[0]?.type : undefined;
  if (result.kind !== 'decimal' || result.precision <= DECIMAL_INT64_DIGITS || first?.kind !== 'decimal') return operand;
  return first.precision > DECIMAL_INT64_DIGITS ? operand : `CAST(${operand} AS DECIMAL(${DECIMAL_INT64_DIGITS + 1}, ${first.scale}))`;
}

/** Longest operands, in UTF-16 units, that are written twice. */
const REPEATED_UNITS_MAX = 200;

/** A division that fails for zero unless the dividend is NULL. Long operands are written once, or nested divisions would double each other. */
function guardedDivision(symbol: string, x: string, y: string): string {
  const guarded = (left: string, right: string): string =>
    `CASE WHEN ${right} = 0 AND ${left} IS NOT NULL THEN error('division by zero') ELSE ${left} ${symbol} ${right} END`;
  if (x.length + y.length <= REPEATED_UNITS_MAX) return `(${guarded(x, y)})`;
  return `list_transform([{'x': ${x}, 'y': ${y}}], lambda p: ${guarded('p.x', 'p.y')})[1]`;
}

/** Whether a divisor is a number as written that cannot be zero. */
function isNotZero(divisor: Piece, { unit }: Place): boolean {
  const cell = unit.values.constant(divisor);
  return cell === null || (cell !== undefined && Number(cell) !== 0 && !Number.isNaN(Number(cell)));
}

function writeDistinct(negated: boolean, nodes: readonly [Node, Node], place: Place): Piece {
  const [rowA, rowB] = nodes.map(rowEntries);
  if (rowA !== undefined && rowB !== undefined && rowA.length === rowB.length) {
    const same = rowA.map((entry, index) => writeDistinct(true, [entry, rowB[index] ?? entry], place).text).join(' AND ');
    return piece(negated ? `(${same})` : `(NOT (${same}))`, boolean);
  }
  const left = place.writer.expression(nodes[0], place);
  const right = place.writer.expression(nodes[1], place);
  const words = negated ? 'IS NOT DISTINCT FROM' : 'IS DISTINCT FROM';
  if (left.typed === undefined || right.typed === undefined) return piece(`(${left.text} ${words} ${right.text})`, boolean);
  const swapped = left.typed.kind === 'value' && right.typed.kind !== 'value';
  const node = distinctFrom(left.typed, right.typed, negated, 0);
  const [a = '', b = ''] = place.unit.values.operands(node, swapped ? [right, left] : [left, right]);
  return piece(`(${a} ${words} ${b})`, boolean);
}

/** NULLIF: the comparison decides, the type is that of the first, or of the second when the first is NULL as written. */
export function writeNullif(first: Piece, right: Piece, place: Place): Piece {
  const other = typeOf(right);
  const left = other !== undefined && place.unit.values.constant(first) === null ? piece(constantText(null, other), other) : first;
  const equal = writeComparison('=', left, right, place);
  const type = typeOf(left);
  const result = `(CASE WHEN ${equal.text} THEN NULL ELSE ${left.text} END)`;
  return type === undefined ? { ...left, text: result, column: undefined } : piece(result, type);
}

function writeIn(negated: boolean, lexpr: Node, rexpr: Node, place: Place): Piece {
  const items = 'List' in rexpr ? (rexpr.List.items ?? []) : [rexpr];
  const row = rowEntries(lexpr);
  if (row !== undefined) {
    const equals = items.map((item) => writeRowComparison('=', row, rowEntries(item) ?? [], place).text);
    return piece(`(${negated ? 'NOT ' : ''}(${equals.join(' OR ')}))`, boolean);
  }
  const left = place.writer.expression(lexpr, place);
  const { typed } = left;
  const rights = items.map((item) => {
    const right = place.writer.expression(item, place);
    if (typed === undefined || typed.kind === 'value' || right.typed?.kind !== 'value') {
      writeComparison('=', left, right, place);
      return right.text;
    }
    const node = comparison('=', typed, right.typed, 0);
    return place.unit.values.operands(node, [left, right])[1] ?? right.text;
  });
  if (typed?.kind === 'value') {
    const equals = items.map((item) => writeComparison('=', left, place.writer.expression(item, place), place).text);
    return piece(`(${negated ? 'NOT ' : ''}(${equals.join(' OR ')}))`, boolean);
  }
  return piece(`(${left.text} ${negated ? 'NOT ' : ''}IN (${rights.join(', ')}))`, boolean);
}

function writeOverList(node: A_Expr, nodes: readonly [Node, Node], place: Place): Piece {
  const operator = nameText(node.name?.[0]);
  const all = node.kind === 'AEXPR_OP_ALL';
  const [left, items] = nodes.map((operand) => place.writer.expression(operand, place));
  if (left === undefined || items === undefined) return place.unit.missing(`operator ${operator}`, node.location);
  const written = place.unit.values.constant(items);
  const own = typeOf(left);
  if (!isComparison(operator)) {
    const elements = writtenElements(nodes[1], written, place);
    if (elements === undefined) return place.unit.missing(`operator ${operator} over a list that is not written as one`, node.location);
    const each = elements.map((element) => writeBinary(operator, left, element, place).text);
    return piece(each.length === 0 ? String(all) : `(${each.join(all ? ' AND ' : ' OR ')})`, boolean);
  }
  const right = typeof written === 'string' && own !== undefined ? listOfText(written, own, place) : items;
  if (right.foreign !== 'list') return place.unit.missing(`operator ${operator} over this`, node.location);
  const type = right.element;
  const tested =
    left.typed === undefined || type === undefined
      ? left.text
      : place.unit.values.as(left, left.typed.kind === 'value' ? type : left.typed.type);
  const met = `${tested} ${operator} ${all ? 'ALL' : 'ANY'} (${right.text})`;
  // For DuckDB a list that is NULL has no elements.
  const isThere = 'A_ArrayExpr' in nodes[1] || typeof written === 'string';
  return piece(isThere ? `(${met})` : `(CASE WHEN ${right.text} IS NULL THEN NULL ELSE ${met} END)`, boolean);
}

/** The elements of `ARRAY[…]` or `'{…}'`. */
function writtenElements(node: Node, written: Cell | undefined, place: Place): readonly Piece[] | undefined {
  if ('A_ArrayExpr' in node) return (node.A_ArrayExpr.elements ?? []).map((element) => place.writer.expression(element, place));
  if (typeof written !== 'string') return undefined;
  const { values } = place.unit;
  return arrayElements(written).map((element) => values.literal(element === null ? 'null' : 'string', element ?? '', 0));
}

function writeBetween(node: A_Expr, operandNode: Node, bounds: Node, place: Place): Piece {
  const [lowNode, highNode] = 'List' in bounds ? (bounds.List.items ?? []) : [];
  if (lowNode === undefined || highNode === undefined) return place.unit.missing(`operator ${String(node.kind)}`, node.location);
  const [operand, low, high] = [operandNode, lowNode, highNode].map((part) => place.writer.expression(part, place));
  if (operand === undefined || low === undefined || high === undefined) return place.unit.missing('an empty operand', node.location);
  const inside = (from: Piece, to: Piece): string =>
    `(${writeComparison('>=', operand, from, place).text} AND ${writeComparison('<=', operand, to, place).text})`;
  const symmetric = node.kind === 'AEXPR_BETWEEN_SYM' || node.kind === 'AEXPR_NOT_BETWEEN_SYM';
  const negated = node.kind === 'AEXPR_NOT_BETWEEN' || node.kind === 'AEXPR_NOT_BETWEEN_SYM';
  const condition = symmetric ? `(${inside(low, high)} OR ${inside(high, low)})` : inside(low, high);
  return piece(negated ? `(NOT ${condition})` : condition, boolean);
}

import { type DataType, kalamError, plainType } from '@kalamdb/protocol';
import type { A_ArrayExpr, A_Const, BoolExpr, CaseExpr, CollateClause, ColumnRef, Node, SubLink, TypeCast, TypeName } from 'libpg-query';
import { comparison } from '../expression/comparison.ts';
import { condition } from '../expression/logic.ts';
import { isTextual } from '../expression/type-families.ts';
import { numberLiteral } from '../lexer/literal-value.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { castType } from '../parser/postgres/type-names.ts';
import { castList, writeSubscript } from './array-calls.ts';
import { writeCall, writeValueFunction } from './calls.ts';
import { writeExtreme } from './conditional-calls.ts';
import { asInterval } from './intervals.ts';
import { writtenDocument } from './json-documents.ts';
import { isComparison, unified, writeComparison } from './meeting.ts';
import { writeOperator } from './operators.ts';
import { bare, fieldAt, foreignPiece, listPiece, type Piece, piece, standIn, typeOf } from './piece.ts';
import { rowEntries, writeRow, writeRowNullTest, writeRowQuantified } from './rows.ts';
import { type Place, resolveColumn } from './scope.ts';
import { shown } from './shown-text.ts';

const boolean = plainType('boolean');

/** Nodes of the tree that are refused, by the words that an error has for them. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['CurrentOfExpr', 'WHERE CURRENT OF'],
  ['MultiAssignRef', 'assignments of several columns'],
  ['XmlExpr', 'XML expressions'],
  ['XmlSerialize', 'XML expressions'],
  ['SetToDefault', 'DEFAULT in an expression'],
]);

/** An expression as DuckDB's SQL. What is not named here is refused with NOT_IMPLEMENTED. */
export function writeExpression(node: Node, place: Place): Piece {
  const { plan } = place.unit;
  const written = plan.deeper(() => writeNode(node, place));
  if (written.text.length <= plan.unitsMax) return written;
  throw kalamError('INVALID_OPERATION', { reason: 'the expression is too large' });
}

function writeNode(node: Node, place: Place): Piece {
  const { unit } = place;
  if ('ColumnRef' in node) return writeColumn(node.ColumnRef, place);
  if ('A_Const' in node) return writeConstant(node.A_Const, place);
  if ('ParamRef' in node) return writeParameter(node.ParamRef.number ?? 0, node.ParamRef.location, place);
  if ('A_Expr' in node) {
    const operation = node.A_Expr;
    return unit.at(operation.location, () => writeOperator(operation, place));
  }
  if ('BoolExpr' in node) return writeConnective(node.BoolExpr, place);
  if ('FuncCall' in node) {
    const call = node.FuncCall;
    return unit.at(call.location, () => writeCall(call, place));
  }
  if ('TypeCast' in node) return writeCast(node.TypeCast, place);
  if ('CaseExpr' in node) {
    const chosen = node.CaseExpr;
    return unit.at(chosen.location, () => writeCase(chosen, place));
  }
  if ('NullTest' in node) {
    const { arg, nulltesttype, location } = node.NullTest;
    const row = rowEntries(arg);
    if (row !== undefined) return writeRowNullTest(row, nulltesttype === 'IS_NOT_NULL', place);
    const tested = operand(arg, place, location);
    return piece(`(${tested.text} IS ${nulltesttype === 'IS_NOT_NULL' ? 'NOT ' : ''}NULL)`, boolean);
  }
  return writeRarer(node, place);
}

function writeRarer(node: Node, place: Place): Piece {
  const { unit } = place;
  if ('BooleanTest' in node) {
    const { arg, booltesttype = 'IS_TRUE' } = node.BooleanTest;
    const words =
      booltesttype === 'IS_UNKNOWN' ? 'IS NULL' : booltesttype === 'IS_NOT_UNKNOWN' ? 'IS NOT NULL' : booltesttype.replaceAll('_', ' ');
    return piece(`(${writeCondition(arg, place, words)} ${words})`, boolean);
  }
  if ('SubLink' in node) {
    const link = node.SubLink;
    return unit.at(link.location, () => writeSubquery(link, place));
  }
  if ('SQLValueFunction' in node) return writeValueFunction(node.SQLValueFunction.op, place);
  if ('CoalesceExpr' in node) {
    const { args, location } = node.CoalesceExpr;
    return unit.at(location, () => writeExtreme('coalesce', everyOne(args, place), place));
  }
  if ('MinMaxExpr' in node) {
    const { args, op, location } = node.MinMaxExpr;
    return unit.at(location, () => writeExtreme(op === 'IS_LEAST' ? 'least' : 'greatest', everyOne(args, place), place));
  }
  if ('GroupingFunc' in node) {
    const keys = everyOne(node.GroupingFunc.args, place).map((key) => key.text);
    return piece(`CAST(GROUPING(${keys.join(', ')}) AS BIGINT)`, plainType('bigint'));
  }
  if ('A_ArrayExpr' in node) return writeArray(node.A_ArrayExpr, place);
  if ('RowExpr' in node) return writeRow(node.RowExpr.args ?? [], place);
  if ('CollateClause' in node) return writeCollated(node.CollateClause, place);
  if ('A_Indirection' in node) {
    const { arg, indirection = [] } = node.A_Indirection;
    return indirection.reduce((of, part) => writeIndirection(of, part, place), operand(arg, place, undefined));
  }
  const [kind = ''] = Object.keys(node);
  const what = REFUSED.get(kind) ?? (kind.startsWith('Json') ? 'SQL/JSON expressions' : `${kind} expressions`);
  return unit.fail(undefined, kalamError('NOT_IMPLEMENTED', { what }));
}

/** Every node of a list. */
function everyOne(nodes: readonly Node[] | undefined, place: Place): readonly Piece[] {
  return (nodes ?? []).map((node) => place.writer.expression(node, place));
}

function operand(node: Node | undefined, place: Place, location: number | undefined): Piece {
  return node === undefined ? place.unit.missing('an empty operand', location) : place.writer.expression(node, place);
}

/** A condition: what is not BOOLEAN is TYPE_MISMATCH. */
export function writeCondition(node: Node | undefined, place: Place, where: string): string {
  const { unit } = place;
  if (node === undefined) return unit.missing('an empty condition', undefined);
  const tested = place.writer.expression(node, place);
  const { typed } = tested;
  return typed === undefined ? tested.text : unit.near(node, () => unit.values.coerced(tested, condition(typed, where)));
}

function writeColumn(reference: ColumnRef, place: Place): Piece {
  const { unit } = place;
  const fields = reference.fields ?? [];
  if (fields.some((field) => 'A_Star' in field)) return unit.missing('* in an expression', reference.location);
  const parts = fields.map((field) => unit.name(field));
  const name = parts.pop() ?? '';
  return unit.at(reference.location, () =>
    resolveColumn(
      parts.map((part) => part.toLowerCase()),
      name,
      place,
    ),
  );
}

function writeConstant(constant: A_Const, { unit }: Place): Piece {
  const { values } = unit;
  const position = unit.position(constant.location);
  if (constant.isnull === true) return values.literal('null', '', position);
  if (constant.boolval !== undefined) return values.literal('boolean', String(constant.boolval.boolval === true), position);
  if (constant.sval !== undefined) return values.literal('string', constant.sval.sval ?? '', position);
  if (constant.ival !== undefined) return values.literal('integer', String(constant.ival.ival ?? 0), position);
  if (constant.fval === undefined) return unit.missing('bit strings', constant.location);
  const written = constant.fval.fval ?? '0';
  const negative = written.startsWith('-');
  const { kind, text } = numberLiteral(negative ? written.slice(1) : written);
  return unit.at(constant.location, () => values.literal(kind, negative && text !== '0' ? `-${text}` : text, position));
}

function writeParameter(number: number, location: number | undefined, { unit }: Place): Piece {
  const { parameters } = unit.plan.request;
  const cell = unit.depth === 0 ? parameters[number - 1] : undefined;
  if (cell === undefined) {
    return unit.fail(location, kalamError('PARAMETER_COUNT_MISMATCH', { expected: number, count: parameters.length }));
  }
  return unit.values.parameter(cell, unit.position(location));
}

function writeConnective(node: BoolExpr, place: Place): Piece {
  const operator = node.boolop === 'NOT_EXPR' ? 'NOT' : node.boolop === 'AND_EXPR' ? 'AND' : 'OR';
  const conditions = (node.args ?? []).map((argument) => writeCondition(argument, place, operator));
  if (operator === 'NOT') return piece(`(NOT ${conditions[0] ?? 'true'})`, boolean);
  return piece(`(${conditions.join(` ${operator} `)})`, boolean);
}

function writeCast(cast: TypeCast, place: Place): Piece {
  const { unit } = place;
  const { typeName, arg } = cast;
  const location = (cast.location ?? -1) >= 0 ? cast.location : typeName?.location;
  if (typeName === undefined) return unit.missing('an empty cast', location);
  if (typeName.arrayBounds !== undefined) return unit.at(location, () => writeListCast(arg, typeName, place));
  const value = operand(arg, place, location);
  const type = castType(unit.source, typeName);
  const from = typeOf(value);
  if (type === 'INTERVAL') return unit.at(location, () => asInterval(value, place, fieldsOf(typeName)));
  if (typeof type === 'string') return unit.missing(type, location);
  if (from === undefined) return type.kind === 'text' ? shown(value) : castForeign(value, type, place, location);
  const made = unit.at(location, () => piece(unit.values.as(value, type, 'explicit'), type));
  const written = type.kind === 'json' ? writtenDocument(value, place) : undefined;
  return written === undefined ? made : { ...made, written };
}

/** Intervals are times of a day too. */
function castForeign(value: Piece, type: DataType, { unit }: Place, location: number | undefined): Piece {
  if (value.foreign === 'interval' && type.kind === 'time')
    return piece(`CAST(CAST('1970-01-01' AS TIMESTAMP) + ${value.text} AS TIME)`, type);
  return unit.missing('this cast', location);
}

function writeListCast(arg: Node | undefined, { arrayBounds: _, ...typeName }: TypeName, place: Place): Piece {
  const type = castType(place.unit.source, typeName);
  if (typeof type === 'string') return place.unit.missing(`lists of ${type}`, typeName.location);
  return castList(operand(arg, place, typeName.location), type, place);
}

/** The bits of `INTERVAL '1' DAY`. */
function fieldsOf({ typmods = [] }: TypeName): number | undefined {
  const [first] = typmods;
  return first !== undefined && 'A_Const' in first ? first.A_Const.ival?.ival : undefined;
}

function writeCase(node: CaseExpr, place: Place): Piece {
  const subject = node.arg === undefined ? undefined : place.writer.expression(node.arg, place);
  const branches = (node.args ?? []).flatMap((argument) => ('CaseWhen' in argument ? [argument.CaseWhen] : []));
  const results = branches.map((branch) => operand(branch.result, place, branch.location));
  const otherwise = node.defresult === undefined ? undefined : place.writer.expression(node.defresult, place);
  const whens = branches.map((branch) => {
    if (subject === undefined) return writeCondition(branch.expr, place, 'WHEN');
    return writeComparison('=', subject, operand(branch.expr, place, branch.location), place).text;
  });
  const alike = unified([...results, ...(otherwise === undefined ? [] : [otherwise])], 'CASE', place);
  const thens = whens.map((when, index) => `WHEN ${when} THEN ${alike.texts[index] ?? 'NULL'}`);
  const rest = otherwise === undefined ? '' : ` ELSE ${alike.texts.at(-1) ?? 'NULL'}`;
  return alike.as(`(CASE ${thens.join(' ')}${rest} END)`);
}

function writeArray(array: A_ArrayExpr, place: Place): Piece {
  const elements = everyOne(array.elements, place);
  if (elements.length === 0) return foreignPiece('CAST([] AS BIGINT[])', 'list', plainType('bigint'));
  const alike = unified(elements, 'ARRAY', place);
  return listPiece(`[${alike.texts.join(', ')}]`, alike.as(''));
}

/** Texts compare by their code points, so only the collations that say so change nothing. */
const COLLATIONS: ReadonlySet<string> = new Set(['C', 'POSIX', 'default', 'ucs_basic', 'C.UTF-8', 'C.utf8']);

function writeCollated({ arg, collname, location }: CollateClause, place: Place): Piece {
  const name = place.unit.name(collname?.at(-1));
  if (!COLLATIONS.has(name)) return place.unit.missing(`COLLATE "${name}"`, location);
  const inner = operand(arg, place, location);
  const type = typeOf(inner);
  if (type === undefined || !isTextual(type)) throw kalamError('TYPE_MISMATCH', { reason: 'COLLATE takes a text' });
  return inner;
}

/** `x[n]`, `x[a:b]`, `(row).field`. */
function writeIndirection(of: Piece, part: Node, place: Place): Piece {
  if ('A_Indices' in part) {
    const { lidx, uidx, is_slice } = part.A_Indices;
    const [from, to] = [lidx, uidx].map((node) => (node === undefined ? undefined : place.writer.expression(node, place)));
    if (of.foreign !== 'list') throw kalamError('TYPE_MISMATCH', { reason: 'cannot subscript this value' });
    const bounds = { slice: is_slice === true, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    return writeSubscript(of, bounds, place);
  }
  if (!('String' in part)) return place.unit.missing('this indirection', undefined);
  const name = place.unit.name(part);
  const index = (of.fields ?? []).findIndex((field) => field.name === name);
  const field = index < 0 ? undefined : fieldAt(of, index);
  if (field === undefined) throw kalamError('COLUMN_NOT_FOUND', { column: name, hint: '' });
  return field;
}

function writeSubquery(link: SubLink, place: Place): Piece {
  const { unit } = place;
  const { subselect, subLinkType = 'EXPR_SUBLINK', location } = link;
  if (subselect === undefined || !('SelectStmt' in subselect)) return unit.missing('this subquery', location);
  const query = place.writer.query(subselect.SelectStmt, { ...place, noAggregates: undefined });
  if (subLinkType === 'EXISTS_SUBLINK') return piece(`(EXISTS (${query.text}))`, boolean);
  const [first] = query.outputs;
  if (subLinkType === 'EXPR_SUBLINK' || subLinkType === 'ARRAY_SUBLINK') {
    if (first === undefined || query.outputs.length !== 1)
      throw kalamError('INVALID_OPERATION', { reason: 'subquery must return only one column' });
    if (subLinkType === 'ARRAY_SUBLINK') return listPiece(`ARRAY(${query.text})`, first.piece);
    return { ...bare(first.piece), text: `(${query.text})` };
  }
  if (subLinkType !== 'ANY_SUBLINK' && subLinkType !== 'ALL_SUBLINK') return unit.missing('this subquery', location);
  return writeQuantified(link, query, place);
}

function writeQuantified(link: SubLink, query: ReturnType<Place['writer']['query']>, place: Place): Piece {
  const { testexpr, location } = link;
  const operator = link.operName === undefined ? '=' : nameText(link.operName[0]);
  if (!isComparison(operator)) return place.unit.missing(`operator ${operator}`, location);
  const row = testexpr !== undefined && 'RowExpr' in testexpr ? (testexpr.RowExpr.args ?? []) : undefined;
  const tested = row === undefined ? [operand(testexpr, place, location)] : everyOne(row, place);
  if (tested.length !== query.outputs.length) {
    throw kalamError('INVALID_OPERATION', { reason: `subquery has too ${query.outputs.length > tested.length ? 'many' : 'few'} columns` });
  }
  const all = link.subLinkType === 'ALL_SUBLINK';
  if (tested.length > 1) return writeRowQuantified({ operator, all }, tested, query, place);
  const [left = ''] = tested.map((left, index) => {
    const right = query.outputs[index]?.piece.typed;
    if (left.typed === undefined || right === undefined) return left.text;
    const node = comparison(
      operator,
      left.typed.kind === 'value' ? standIn(right.type) : left.typed,
      left.typed.kind === 'value' ? left.typed : standIn(right.type),
      0,
    );
    if (node.kind !== 'operation') return left.text;
    const made = node.operands[left.typed.kind === 'value' ? 1 : 0];
    return made === undefined ? left.text : place.unit.values.coerced(left, made);
  });
  if (operator === '=' && !all) return piece(`(${left} IN (${query.text}))`, boolean);
  return piece(`(${left} ${operator} ${all ? 'ALL' : 'ANY'} (${query.text}))`, boolean);
}

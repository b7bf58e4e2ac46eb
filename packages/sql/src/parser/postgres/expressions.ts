import type { A_Const, BooleanTest, CaseExpr, ColumnRef, Node, TypeCast } from 'libpg-query';
import { numberLiteral } from '../../lexer/literal-value.ts';
import { syntaxError } from '../../lexer/position.ts';
import type { Expression } from '../../statement/ast.ts';
import { convertCall, simpleCall, valueFunction } from './calls.ts';
import { type Converter, nameText, unsupportedExpression } from './converter.ts';
import { convertBoolean, convertOperator } from './operators.ts';
import type { SourceText } from './source-text.ts';
import { castType } from './type-names.ts';

/** Nodes that the compiled executor does not run, by their names in the tree. */
const MISSING_NODES: ReadonlyMap<string, string> = new Map([
  ['SubLink', 'subqueries'],
  ['A_ArrayExpr', 'arrays'],
  ['A_Indirection', 'array subscripts'],
  ['RowExpr', 'row values'],
  ['GroupingFunc', 'GROUPING'],
  ['CollateClause', 'COLLATE'],
  ['CurrentOfExpr', 'WHERE CURRENT OF'],
  ['MultiAssignRef', 'assignments of several columns'],
  ['XmlExpr', 'XML expressions'],
  ['XmlSerialize', 'XML expressions'],
  ['MergeSupportFunc', 'MERGE_ACTION'],
  ['SetToDefault', 'DEFAULT in an expression'],
]);

/** A converter for the expressions of one statement. `alias`: see {@link Converter.alias}. */
export function createConverter(source: SourceText, alias: string | undefined): Converter {
  const converter: Converter = { source, alias, expression: (node) => convertExpression(converter, node) };
  return converter;
}

function convertExpression(converter: Converter, node: Node): Expression {
  const { source } = converter;
  if ('ColumnRef' in node) return convertColumn(converter, node.ColumnRef);
  if ('A_Const' in node) return convertConstant(node.A_Const, source.position(node.A_Const.location));
  if ('ParamRef' in node) return convertParameter(source, node.ParamRef.number ?? 0, source.position(node.ParamRef.location));
  if ('A_Expr' in node) return convertOperator(converter, node.A_Expr);
  if ('BoolExpr' in node) return convertBoolean(converter, node.BoolExpr);
  if ('FuncCall' in node) return convertCall(converter, node.FuncCall);
  if ('TypeCast' in node) return convertCast(converter, node.TypeCast);
  if ('CaseExpr' in node) return convertCase(converter, node.CaseExpr);
  if ('BooleanTest' in node) return convertBooleanTest(converter, node.BooleanTest);
  if ('SQLValueFunction' in node) return valueFunction(node.SQLValueFunction.op, source.position(node.SQLValueFunction.location));
  if ('NullTest' in node) {
    const { arg, nulltesttype, location } = node.NullTest;
    const position = source.position(location);
    return { kind: 'is', what: 'null', negated: nulltesttype === 'IS_NOT_NULL', operand: operandOf(converter, arg, position), position };
  }
  if ('CoalesceExpr' in node) {
    return simpleCall('coalesce', convertAll(converter, node.CoalesceExpr.args), source.position(node.CoalesceExpr.location));
  }
  if ('MinMaxExpr' in node) {
    const name = node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest';
    return simpleCall(name, convertAll(converter, node.MinMaxExpr.args), source.position(node.MinMaxExpr.location));
  }
  return missing(source, node);
}

function missing(source: SourceText, node: Node): Expression {
  const [entry] = Object.entries(node);
  const [kind, content] = entry ?? ['', undefined];
  const location = typeof content === 'object' && content !== null && 'location' in content ? Number(content.location) : 0;
  const what = MISSING_NODES.get(kind) ?? (kind.startsWith('Json') ? 'SQL/JSON expressions' : `${kind} expressions`);
  return unsupportedExpression(what, source.position(location));
}

function convertAll(converter: Converter, nodes: readonly Node[] | undefined): readonly Expression[] {
  return (nodes ?? []).map((node) => converter.expression(node));
}

function operandOf(converter: Converter, node: Node | undefined, position: number): Expression {
  return node === undefined ? unsupportedExpression('an empty operand', position) : converter.expression(node);
}

function convertColumn(converter: Converter, column: ColumnRef): Expression {
  const position = converter.source.position(column.location);
  const fields = column.fields ?? [];
  const last = fields[fields.length - 1];
  if (last === undefined || !('String' in last)) return unsupportedExpression('a row as a value', position);
  const [name = '', ...reversed] = fields.map((field) => converter.source.name(nameText(field))).reverse();
  const qualifier = reversed.reverse();
  const own = qualifier.length === 1 && converter.alias !== undefined && qualifier[0]?.toLowerCase() === converter.alias;
  return { kind: 'column', qualifier: own ? [] : qualifier, name, position };
}

function convertConstant(constant: A_Const, position: number): Expression {
  if (constant.isnull === true) return { kind: 'literal', literal: 'null', text: 'NULL', position };
  if (constant.boolval !== undefined)
    return { kind: 'literal', literal: 'boolean', text: String(constant.boolval.boolval === true), position };
  if (constant.sval !== undefined) return { kind: 'literal', literal: 'string', text: constant.sval.sval ?? '', position };
  if (constant.ival !== undefined) return { kind: 'literal', literal: 'integer', text: String(constant.ival.ival ?? 0), position };
  if (constant.fval !== undefined) return numberConstant(constant.fval.fval ?? '0', position);
  return unsupportedExpression('bit strings', position);
}

/** Numbers that are no 32-bit integers. */
function numberConstant(written: string, position: number): Expression {
  const negative = written.startsWith('-');
  const { kind, text } = numberLiteral(negative ? written.slice(1) : written);
  return { kind: 'literal', literal: kind, text: negative && text !== '0' ? `-${text}` : text, position };
}

function convertParameter(source: SourceText, index: number, position: number): Expression {
  if (index < 1) throw syntaxError(source.text, position, `there is no parameter $${index}`);
  return { kind: 'parameter', index, position };
}

function convertCast(converter: Converter, cast: TypeCast): Expression {
  const { typeName, arg } = cast;
  const written = cast.location ?? -1;
  const position = converter.source.position(written >= 0 ? written : typeName?.location);
  if (typeName === undefined || arg === undefined) return unsupportedExpression('an empty cast', position);
  const type = castType(converter.source, typeName);
  if (typeof type === 'string') return unsupportedExpression(type, position);
  return { kind: 'cast', operand: converter.expression(arg), type, position };
}

function convertCase(converter: Converter, node: CaseExpr): Expression {
  const position = converter.source.position(node.location);
  const branches: { when: Expression; then: Expression }[] = [];
  for (const argument of node.args ?? []) {
    if (!('CaseWhen' in argument)) continue;
    const { expr, result } = argument.CaseWhen;
    // biome-ignore lint/suspicious/noThenProperty: the branch of a CASE is called so, and nothing awaits it
    branches.push({ when: operandOf(converter, expr, position), then: operandOf(converter, result, position) });
  }
  return {
    kind: 'case',
    subject: node.arg === undefined ? undefined : converter.expression(node.arg),
    branches,
    otherwise: node.defresult === undefined ? undefined : converter.expression(node.defresult),
    position,
  };
}

const BOOLEAN_TESTS = {
  IS_TRUE: { what: 'true', negated: false },
  IS_NOT_TRUE: { what: 'true', negated: true },
  IS_FALSE: { what: 'false', negated: false },
  IS_NOT_FALSE: { what: 'false', negated: true },
  IS_UNKNOWN: { what: 'unknown', negated: false },
  IS_NOT_UNKNOWN: { what: 'unknown', negated: true },
} as const;

function convertBooleanTest(converter: Converter, node: BooleanTest): Expression {
  const position = converter.source.position(node.location);
  const test = BOOLEAN_TESTS[node.booltesttype ?? 'IS_TRUE'];
  return { kind: 'is', what: test.what, negated: test.negated, operand: operandOf(converter, node.arg, position), position };
}

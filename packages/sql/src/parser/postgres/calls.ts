import type { FuncCall, Node, SQLValueFunctionOp } from 'libpg-query';
import type { Expression } from '../../statement/ast.ts';
import { type Converter, nameText, unsupportedExpression } from './converter.ts';

/** What the keywords that stand for values are called as functions. */
export const VALUE_FUNCTIONS: Readonly<Record<SQLValueFunctionOp, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIME_N: 'current_time',
  SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
  SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIME_N: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
  SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
  SVFOP_CURRENT_ROLE: 'current_role',
  SVFOP_CURRENT_USER: 'current_user',
  SVFOP_USER: 'current_user',
  SVFOP_SESSION_USER: 'session_user',
  SVFOP_CURRENT_CATALOG: 'current_catalog',
  SVFOP_CURRENT_SCHEMA: 'current_schema',
};

/** A keyword that stands for a value, `CURRENT_USER` or `CURRENT_TIMESTAMP`, as a call without arguments. */
export function valueFunction(op: SQLValueFunctionOp | undefined, position: number): Expression {
  return simpleCall(op === undefined ? 'current_user' : VALUE_FUNCTIONS[op], [], position);
}

/** A call without DISTINCT, FILTER or star. */
export function simpleCall(name: string, operands: readonly Expression[], position: number): Expression {
  return { kind: 'call', name, arguments: operands, star: false, distinct: false, filter: undefined, position };
}

/**
 * A function call. EXTRACT, SUBSTRING … FROM, TRIM, POSITION and OVERLAY come as the functions that the grammar makes of them:
 * `extract(field, x)`, `substring(x, from, for)`, `btrim`/`ltrim`/`rtrim(x, characters)`, `position(text, part)`, `overlay(x, by, from, for)`.
 */
export function convertCall(converter: Converter, call: FuncCall): Expression {
  const position = converter.source.position(call.location);
  const missing = missingPart(call);
  if (missing !== undefined) return unsupportedExpression(missing, position);
  const names = (call.funcname ?? []).map(nameText);
  const name = names[0] === 'pg_catalog' ? names.slice(1).join('.') : names.join('.');
  const operands = (call.args ?? []).map((argument) => convertArgument(converter, argument));
  return {
    kind: 'call',
    name: converter.source.name(name).toLowerCase(),
    arguments: operands,
    star: call.agg_star === true,
    distinct: call.agg_distinct === true,
    filter: call.agg_filter === undefined ? undefined : converter.expression(call.agg_filter),
    position,
  };
}

function convertArgument(converter: Converter, argument: Node): Expression {
  if (!('NamedArgExpr' in argument)) return converter.expression(argument);
  return unsupportedExpression('named arguments', converter.source.position(argument.NamedArgExpr.location));
}

function missingPart(call: FuncCall): string | undefined {
  if (call.over !== undefined) return 'window functions';
  if (call.agg_within_group === true) return 'WITHIN GROUP';
  if (call.agg_order !== undefined) return 'ORDER BY in an aggregate';
  if (call.func_variadic === true) return 'VARIADIC';
  return undefined;
}

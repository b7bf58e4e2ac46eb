import type { Node } from 'libpg-query';
import { VALUE_FUNCTIONS } from '../parser/postgres/calls.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { castType } from '../parser/postgres/type-names.ts';
import type { Unit } from './unit.ts';

const NAMELESS = '?column?';

/** The name of a result column that was not given one, as the compiled executor chooses it: `count(*)` is called as it is written. */
export function outputNameOf(node: Node | undefined, unit: Unit): string {
  if (node === undefined) return NAMELESS;
  if ('ColumnRef' in node) return unit.name(node.ColumnRef.fields?.at(-1));
  if ('FuncCall' in node) {
    const name = unit.name(node.FuncCall.funcname?.at(-1)).toLowerCase();
    return node.FuncCall.agg_star === true ? `${name}(*)` : name;
  }
  if ('TypeCast' in node) {
    const { arg, typeName } = node.TypeCast;
    const inner = outputNameOf(arg, unit);
    if (inner !== NAMELESS || typeName === undefined) return inner;
    const type = castType(unit.source, typeName);
    return typeof type === 'string' ? type.toLowerCase() : type.kind;
  }
  if ('CaseExpr' in node) {
    const inner = outputNameOf(node.CaseExpr.defresult, unit);
    return inner === NAMELESS ? 'case' : inner;
  }
  if ('SubLink' in node) return subqueryName(node.SubLink.subLinkType, node.SubLink.subselect, unit);
  if ('SQLValueFunction' in node) return VALUE_FUNCTIONS[node.SQLValueFunction.op ?? 'SVFOP_CURRENT_USER'];
  if ('CoalesceExpr' in node) return 'coalesce';
  if ('MinMaxExpr' in node) return node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest';
  if ('GroupingFunc' in node) return 'grouping';
  if ('A_ArrayExpr' in node) return 'array';
  if ('RowExpr' in node) return 'row';
  return 'A_Expr' in node && node.A_Expr.kind === 'AEXPR_NULLIF' ? 'nullif' : NAMELESS;
}

function subqueryName(kind: string | undefined, subselect: Node | undefined, unit: Unit): string {
  if (kind === 'EXISTS_SUBLINK') return 'exists';
  if (kind === 'ARRAY_SUBLINK') return 'array';
  if (kind !== 'EXPR_SUBLINK' || subselect === undefined || !('SelectStmt' in subselect)) return NAMELESS;
  let select = subselect.SelectStmt;
  while (select.larg !== undefined) select = select.larg;
  const [target] = select.targetList ?? [];
  if (target === undefined || !('ResTarget' in target)) return NAMELESS;
  return target.ResTarget.name === undefined
    ? outputNameOf(target.ResTarget.val, unit)
    : nameText({ String: { sval: unit.source.name(target.ResTarget.name) } });
}

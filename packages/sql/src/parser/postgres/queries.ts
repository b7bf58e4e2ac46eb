import type { Node, ResTarget, SelectStmt, SortBy } from 'libpg-query';
import type { Expression, OrderItem, SelectItem, SelectQuery } from '../../statement/ast.ts';
import { type Converter, nameText, type Unsupported } from './converter.ts';
import { firstPosition, missingInFrom, tableAlias, tableName } from './tables.ts';

/** A SELECT; what is not built is named in `unsupported`, then the rest may be empty. */
export function convertQuery(converter: Converter, select: SelectStmt): SelectQuery {
  const unsupported = missingInQuery(converter, select);
  const compound = select.op !== undefined && select.op !== 'SETOP_NONE';
  const [from] = select.fromClause ?? [];
  const table = unsupported === undefined && from !== undefined && 'RangeVar' in from ? from.RangeVar : undefined;
  const limit = select.limitCount;
  return {
    distinct: select.distinctClause !== undefined,
    items: compound
      ? []
      : (select.targetList ?? []).flatMap((target) => ('ResTarget' in target ? [convertItem(converter, target.ResTarget)] : [])),
    from: table === undefined ? undefined : { table: tableName(converter.source, table), alias: tableAlias(converter.source, table) },
    where: optional(converter, select.whereClause),
    groupBy: (select.groupClause ?? []).filter((node) => !('GroupingSet' in node)).map((node) => converter.expression(node)),
    having: optional(converter, select.havingClause),
    orderBy: (select.sortClause ?? []).flatMap((node) => ('SortBy' in node ? [convertOrder(converter, node.SortBy)] : [])),
    limit: limit !== undefined && 'A_Const' in limit && limit.A_Const.isnull === true ? undefined : optional(converter, limit),
    offset: optional(converter, select.limitOffset),
    unsupported,
  };
}

/** A condition or value that may be absent. */
export function optional(converter: Converter, node: Node | undefined): Expression | undefined {
  return node === undefined ? undefined : converter.expression(node);
}

/** One entry of a select list or of RETURNING. */
export function convertItem(converter: Converter, target: ResTarget): SelectItem {
  const { source } = converter;
  const value = target.val;
  if (value !== undefined && 'ColumnRef' in value) {
    const fields = value.ColumnRef.fields ?? [];
    const last = fields[fields.length - 1];
    if (last !== undefined && 'A_Star' in last) {
      const qualifier = fields.length < 2 ? undefined : source.name(nameText(fields[fields.length - 2]));
      return { kind: 'star', qualifier, position: source.position(value.ColumnRef.location) };
    }
  }
  const position = source.position(target.location);
  const expression: Expression = optional(converter, value) ?? { kind: 'unsupported', what: 'an empty column', position };
  return { kind: 'expression', expression, alias: target.name === undefined ? undefined : source.name(target.name) };
}

function convertOrder(converter: Converter, sort: SortBy): OrderItem {
  const { node } = sort;
  const expression: Expression = optional(converter, node) ?? { kind: 'unsupported', what: 'an empty ORDER BY', position: 0 };
  const nulls = sort.sortby_nulls;
  return {
    expression,
    descending: sort.sortby_dir === 'SORTBY_DESC',
    nulls: nulls === 'SORTBY_NULLS_FIRST' ? 'first' : nulls === 'SORTBY_NULLS_LAST' ? 'last' : undefined,
  };
}

const SET_OPERATIONS: ReadonlyMap<string, string> = new Map([
  ['SETOP_UNION', 'UNION'],
  ['SETOP_INTERSECT', 'INTERSECT'],
  ['SETOP_EXCEPT', 'EXCEPT'],
]);

/** The first part of a query, in the order in which it is written, that the compiled executor does not run. */
function missingInQuery(converter: Converter, select: SelectStmt): Unsupported | undefined {
  const { source } = converter;
  const at = (what: string, node: unknown): Unsupported => ({ what, position: firstPosition(source, node) });
  if (select.withClause !== undefined) return at('WITH', select.withClause);
  const operation = SET_OPERATIONS.get(select.op ?? '');
  if (operation !== undefined) return at(operation, select.rarg);
  if (select.valuesLists !== undefined) return at('VALUES as a query', select.valuesLists);
  const [distinct] = select.distinctClause ?? [];
  if (distinct !== undefined && Object.keys(distinct).length > 0) return at('DISTINCT ON', select.distinctClause);
  if (select.targetList === undefined) return at('an empty select list', select.fromClause);
  if (select.intoClause !== undefined) return at('SELECT INTO', select.intoClause);
  const [from, second] = select.fromClause ?? [];
  if (second !== undefined)
    return 'RangeSubselect' in second && second.RangeSubselect.lateral === true ? at('LATERAL', second) : at('JOIN', second);
  const missing = from === undefined ? undefined : missingInFrom(source, from);
  if (missing !== undefined) return missing;
  const sets = select.groupClause?.find((node) => 'GroupingSet' in node);
  if (sets !== undefined) return at('GROUPING SETS', sets);
  if (select.windowClause !== undefined) return at('window functions', select.windowClause);
  const using = select.sortClause?.find((node) => 'SortBy' in node && node.SortBy.sortby_dir === 'SORTBY_USING');
  if (using !== undefined) return at('ORDER BY USING', using);
  if (select.limitOption === 'LIMIT_OPTION_WITH_TIES') return at('WITH TIES', select.limitCount);
  if (select.lockingClause !== undefined) return at('FOR UPDATE', select.lockingClause);
  return undefined;
}

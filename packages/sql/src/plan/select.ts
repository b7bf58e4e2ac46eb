import { compareCells, type DataType, kalamError, plainType } from '@kalamdb/protocol';
import { atPosition, bindCondition, bindExpression, type Scope } from '../expression/bind.ts';
import { coerce } from '../expression/common-type.ts';
import type { ColumnInfo, EvalContext } from '../expression/input-row.ts';
import { callsAggregate, canonical, outputName } from '../expression/syntax-tree.ts';
import { isInstant } from '../expression/type-families.ts';
import type { Typed } from '../expression/typed.ts';
import type { Expression, OrderItem, SelectItem, SelectQuery } from '../statement/ast.ts';
import { GroupScope } from './group-scope.ts';
import { evaluateFixed } from './key-lookup.ts';
import type { ResultColumnInfo, SelectPlan, SortKey } from './plans.ts';
import { toPredicate } from './predicate.ts';
import { type BindRequest, resolveTable, rowScope } from './scope.ts';
import type { TableInfo } from './table-info.ts';
import { whereParts } from './where.ts';

interface Source {
  readonly table: TableInfo;
  readonly alias: string | undefined;
}

/** A select item after `*` was spread out. */
interface Output {
  readonly expression: Expression;
  readonly name: string;
}

/** Binds a SELECT. Throws NOT_IMPLEMENTED for what needs more than one table. */
export function bindSelect(query: SelectQuery, request: BindRequest): SelectPlan {
  const { unsupported } = query;
  if (unsupported !== undefined) {
    return atPosition(request.text, unsupported.position, () => {
      throw kalamError('NOT_IMPLEMENTED', { what: unsupported.what });
    });
  }
  const source = query.from === undefined ? undefined : { table: resolveTable(query.from.table, request), alias: query.from.alias };
  return bindSelectOf(query, source, request);
}

/** Binds a SELECT from a table that is known, whatever its FROM says. */
export function bindSelectOf(query: SelectQuery, source: Source | undefined, request: BindRequest): SelectPlan {
  return new SelectBinder(query, source, request).bind();
}

class SelectBinder {
  readonly #query: SelectQuery;
  readonly #source: Source | undefined;
  readonly #request: BindRequest;
  readonly #rows: Scope;
  readonly #outputs: readonly Output[];
  readonly #groups: GroupScope | undefined;
  readonly #projection: Typed[] = [];

  constructor(query: SelectQuery, source: Source | undefined, request: BindRequest) {
    this.#query = query;
    this.#source = source;
    this.#request = request;
    this.#rows = rowScope(request, source, 'this place');
    this.#outputs = query.items.flatMap((item) => this.#spread(item));
    this.#groups = this.#isGrouped() ? new GroupScope(this.#rows, this.#groupKeys()) : undefined;
  }

  bind(): SelectPlan {
    const query = this.#query;
    const table = this.#source?.table;
    const where =
      query.where === undefined ? undefined : bindCondition(query.where, rowScope(this.#request, this.#source, 'WHERE'), 'WHERE');
    const scope = this.#groups ?? this.#rows;
    for (const output of this.#outputs) this.#projection.push(settled(bindExpression(output.expression, scope)));
    const columns = this.#projection.map((node, index) => resultColumn(node, this.#outputs[index]?.name ?? ''));
    const groupCondition = query.having === undefined ? undefined : bindCondition(query.having, scope, 'HAVING');
    const having = groupCondition === undefined ? undefined : toPredicate(groupCondition);
    const sort = this.#sortKeys(scope);
    const grouping = this.#groups?.grouping();
    const inOrder = this.#groups === undefined && !query.distinct && table !== undefined && this.#isInputOrder(sort, table);
    const projection = inOrder ? this.#projection.slice(0, columns.length) : this.#projection;
    const conditions = whereParts(where, table);
    return {
      kind: 'select',
      table,
      alias: this.#source?.alias,
      columns,
      ...conditions,
      grouping,
      having,
      projection,
      star: table !== undefined && isStar(projection, table),
      distinct: query.distinct,
      sort: inOrder ? [] : sort,
      limit: this.#rowCount(query.limit, 'LIMIT'),
      offset: this.#rowCount(query.offset, 'OFFSET'),
      countsTable:
        table !== undefined &&
        conditions.filter === undefined &&
        having === undefined &&
        grouping?.keys.length === 0 &&
        grouping.aggregates.every((call) => call.countsRows),
      isVolatile: [where, groupCondition, ...projection].some((node) => node?.stability === 'volatile'),
    };
  }

  #isGrouped(): boolean {
    const { groupBy, having, orderBy } = this.#query;
    if (groupBy.length > 0 || having !== undefined) return true;
    return this.#outputs.some((output) => callsAggregate(output.expression)) || orderBy.some((item) => callsAggregate(item.expression));
  }

  #spread(item: SelectItem): readonly Output[] {
    if (item.kind === 'expression') return [{ expression: item.expression, name: item.alias ?? outputName(item.expression) }];
    const source = this.#source;
    return atPosition(this.#request.text, item.position, () => {
      if (source === undefined) throw kalamError('INVALID_OPERATION', { reason: 'SELECT * with no table specified is not valid' });
      const own = source.alias ?? source.table.name;
      if (item.qualifier !== undefined && item.qualifier !== own) throw kalamError('TABLE_NOT_FOUND', { table: item.qualifier });
      return source.table.columns.map(({ name }) => ({
        expression: { kind: 'column', qualifier: [], name, position: item.position },
        name,
      }));
    });
  }

  /** A group key is an input column, else the alias of an output, else an ordinal, else an expression. */
  #groupKeys(): readonly Expression[] {
    return this.#query.groupBy.map((key) => {
      const output = this.#ordinal(key, 'GROUP BY') ?? (this.#isInputColumn(key) ? undefined : this.#aliased(key));
      const expression = output === undefined ? key : (this.#outputs[output]?.expression ?? key);
      if (callsAggregate(expression)) {
        atPosition(this.#request.text, key.position, () => {
          throw kalamError('AGGREGATE_MISUSE', { reason: 'aggregate functions are not allowed in GROUP BY' });
        });
      }
      return expression;
    });
  }

  #isInputColumn(expression: Expression): boolean {
    return expression.kind === 'column' && this.#source?.table.columns.some((column) => column.name === expression.name) === true;
  }

  /** The output that a plain name means. */
  #aliased(expression: Expression): number | undefined {
    if (expression.kind !== 'column' || expression.qualifier.length > 0) return undefined;
    const index = this.#outputs.findIndex((output) => output.name === expression.name);
    if (index < 0) return undefined;
    const first = this.#outputs[index];
    const clash = this.#outputs.some(
      (output) => output.name === expression.name && first !== undefined && canonical(output.expression) !== canonical(first.expression),
    );
    if (clash) {
      atPosition(this.#request.text, expression.position, () => {
        throw kalamError('COLUMN_AMBIGUOUS', { column: expression.name });
      });
    }
    return index;
  }

  /** The output that a whole number means. */
  #ordinal(expression: Expression, where: string): number | undefined {
    if (expression.kind !== 'literal' || expression.literal !== 'integer') return undefined;
    const position = Number(expression.text);
    return atPosition(this.#request.text, expression.position, () => {
      if (position >= 1 && position <= this.#outputs.length) return position - 1;
      throw kalamError('INVALID_OPERATION', { reason: `${where} position ${expression.text} is not in select list` });
    });
  }

  #sortKeys(scope: Scope): readonly SortKey[] {
    return this.#query.orderBy.map((item) => this.#sortKey(item, scope));
  }

  #sortKey({ expression, descending, nulls }: OrderItem, scope: Scope): SortKey {
    const column = this.#ordinal(expression, 'ORDER BY') ?? this.#aliased(expression) ?? this.#sortColumn(expression, scope);
    const type = this.#projection[column]?.type ?? plainType('text');
    if (type.kind === 'embedding') {
      atPosition(this.#request.text, expression.position, () => {
        throw kalamError('TYPE_MISMATCH', { reason: 'vectors have no order' });
      });
    }
    return { column, descending, nullsFirst: nulls === undefined ? descending : nulls === 'first', compare: compareCells(type) };
  }

  /** The output that is the same expression, or a hidden column for it. */
  #sortColumn(expression: Expression, scope: Scope): number {
    const name = canonical(expression);
    const shown = this.#outputs.findIndex((output) => canonical(output.expression) === name);
    if (shown >= 0) return shown;
    if (this.#query.distinct) {
      atPosition(this.#request.text, expression.position, () => {
        throw kalamError('INVALID_OPERATION', { reason: 'for SELECT DISTINCT, ORDER BY expressions must appear in select list' });
      });
    }
    return this.#projection.push(settled(bindExpression(expression, scope))) - 1;
  }

  /** Rows of a table come in the order of its primary key, so sorting by it first, ascending, is what they already are. */
  #isInputOrder(sort: readonly SortKey[], table: TableInfo): boolean {
    const [first] = sort;
    if (first === undefined || first.descending || table.kind === 'system' || table.kind === 'view') return false;
    const node = this.#projection[first.column];
    return node?.kind === 'column' && node.column.primaryKey;
  }

  #rowCount(expression: Expression | undefined, clause: 'LIMIT' | 'OFFSET'): SelectPlan['limit'] {
    if (expression === undefined) return undefined;
    const node = atPosition(this.#request.text, expression.position, () => {
      const bound = bindExpression(expression, rowScope(this.#request, undefined, clause));
      return coerce(bound, plainType('bigint'), bound.kind === 'value' ? 'explicit' : 'implicit');
    });
    return (context: EvalContext) => {
      const cell = evaluateFixed(node, context);
      if (cell === null) return undefined;
      const count = Number(cell);
      if (count < 0) throw kalamError('INVALID_ARGUMENT', { reason: `${clause} must not be negative` });
      return count;
    };
  }
}

/** A literal or parameter of the select list takes the type it has by itself. */
export function settled(node: Typed): Typed {
  return node.kind === 'value' ? coerce(node, node.type, 'implicit') : node;
}

/** The result column that an expression makes. */
export function resultColumn(node: Typed, name: string): ResultColumnInfo {
  const column = node.kind === 'column' || node.kind === 'slot' ? node.column : undefined;
  const instant = datedInstant(node);
  const flags = column === undefined ? [] : columnFlags(column);
  return { name, type: node.type, ...(instant === undefined ? {} : { shownAs: instant }), flags };
}

/** The type of the column in `CAST(column AS DATE)`: clients of KalamDB 0.4.3 are told the column's type, with days in the cells. */
function datedInstant(node: Typed): DataType | undefined {
  if (node.kind !== 'operation' || node.name !== 'convert' || node.type.kind !== 'date') return undefined;
  const operand = node.operands[0];
  return operand?.kind === 'column' && isInstant(operand.type) ? operand.type : undefined;
}

/** The flags of a column in a result (wire-protocol 3.5). */
export function columnFlags(column: ColumnInfo): readonly ('pk' | 'nn' | 'uq')[] {
  if (column.primaryKey) return ['pk', 'nn', 'uq'];
  return column.nullable ? [] : ['nn'];
}

function isStar(projection: readonly Typed[], table: TableInfo): boolean {
  return projection.length === table.columns.length && projection.every((node, index) => node.kind === 'column' && node.index === index);
}

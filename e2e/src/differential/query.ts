import type { SeededRandom } from '@kalamdb/testing';
import { type ExpressionNode, smaller, textOf } from './expression-node.ts';
import { type ExpressionGenerator, hasOpenLastBit } from './expressions.ts';

/** Operations that an expression is deep at most. */
const DEPTH_MAX = 3;

/** Their last bit depends on the order in which rows are added up. */
const INEXACT = /^(avg|std|var)/;

/** A sort key: which output, and how. */
interface SortTerm {
  /** 0-based. */
  readonly output: number;
  readonly suffix: string;
}

/** A query over one table, as parts from which smaller queries can be made. */
export interface GeneratedQuery {
  readonly items: readonly ExpressionNode[];
  readonly where: ExpressionNode | undefined;
  /** The first `groups` outputs are the group keys; `undefined`: not grouped. */
  readonly groups: number | undefined;
  readonly having: ExpressionNode | undefined;
  readonly distinct: boolean;
  /** `undefined`: in no order. Else followed by every other output, and the key, so that the order is total; those that are inexact are left out. */
  readonly sort: readonly SortTerm[] | undefined;
  readonly limit: string;
}

/** A random query. */
export function generateQuery(random: SeededRandom, expressions: ExpressionGenerator): GeneratedQuery {
  const any = (): ExpressionNode => expressions.expression(expressions.family(), random.integer(DEPTH_MAX + 1));
  const key = (): ExpressionNode => {
    const made = any();
    return isInexact(made) ? expressions.expression(made.family, 0) : made;
  };
  const where = random.integer(2) === 0 ? expressions.expression('boolean', DEPTH_MAX) : undefined;
  const list = (count: number, make: () => ExpressionNode): readonly ExpressionNode[] => Array.from({ length: count }, make);
  const isGrouped = random.integer(3) === 0;
  const groups = isGrouped ? random.integer(3) : undefined;
  const items = isGrouped
    ? [...list(groups ?? 0, key), ...list(1 + random.integer(3), () => expressions.aggregate())]
    : list(1 + random.integer(4), any);
  const suffixes = ['', ' ASC', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'];
  const terms = Array.from({ length: random.integer(3) }, () => ({
    output: random.integer(items.length),
    suffix: random.pick(suffixes),
  }));
  const sort = random.integer(2) === 0 ? terms : undefined;
  return {
    items,
    where,
    groups,
    having: isGrouped && random.integer(4) === 0 ? having(expressions) : undefined,
    distinct: !isGrouped && random.integer(5) === 0 && !items.some(isInexact),
    sort,
    limit: sort !== undefined && random.integer(3) === 0 ? ` LIMIT ${random.integer(8)}${random.integer(2) === 0 ? ' OFFSET 2' : ''}` : '',
  };
}

/** Whether the two may differ in the last bit of a value. No rows are grouped or sorted by it: one of them would have ties where the other has none. */
function isInexact(node: ExpressionNode): boolean {
  const text = textOf(node);
  const addsDoubles = text.startsWith('sum(') && node.parts[0]?.family === 'double';
  return addsDoubles || INEXACT.test(text) || hasOpenLastBit(node);
}

function having(expressions: ExpressionGenerator): ExpressionNode {
  return { family: 'boolean', parts: [expressions.aggregate()], render: ([aggregate = '']) => `${aggregate} IS NOT NULL` };
}

/** The text of a query over a table. */
export function queryText(query: GeneratedQuery, table: string): string {
  const { items, where, groups, having, distinct, sort, limit } = query;
  const outputs = items.map((item, index) => `${textOf(item)} AS o${index + 1}`).join(', ');
  const parts = [`SELECT ${distinct ? 'DISTINCT ' : ''}${outputs} FROM ${table}`];
  if (where !== undefined) parts.push(`WHERE ${textOf(where)}`);
  if (groups !== undefined && groups > 0)
    parts.push(
      `GROUP BY ${items
        .slice(0, groups)
        .map((_, index) => index + 1)
        .join(', ')}`,
    );
  if (having !== undefined) parts.push(`HAVING ${textOf(having)}`);
  if (sort !== undefined) {
    const outputs = items.flatMap((item, output) => (isInexact(item) ? [] : [output]));
    const sorted = sort.filter(({ output }) => outputs.includes(output));
    const rest = outputs.filter((output) => !sorted.some((term) => term.output === output));
    const terms = [...sorted.map(({ output, suffix }) => `${output + 1}${suffix}`), ...rest.map((output) => String(output + 1))];
    if (groups === undefined && !distinct) terms.push('id');
    if (terms.length > 0) parts.push(`ORDER BY ${terms.join(', ')}`);
  }
  return parts.join(' ') + limit;
}

/** Smaller queries than one, those that lose most first. */
export function* smallerQueries(query: GeneratedQuery): Generator<GeneratedQuery> {
  if (query.where !== undefined) yield { ...query, where: undefined };
  if (query.having !== undefined) yield { ...query, having: undefined };
  if (query.limit !== '') yield { ...query, limit: '' };
  if (query.sort !== undefined) yield { ...query, sort: undefined, limit: '' };
  if (query.distinct) yield { ...query, distinct: false };
  for (const [index] of query.items.entries()) if (query.items.length > 1) yield withoutItem(query, index);
  for (const [index, item] of query.items.entries()) {
    for (const less of smaller(item)) {
      const isKey = query.groups === undefined || index < query.groups;
      const callsLess = /^(count|sum|avg|min|max|bool_|std|var)/.test(textOf(less));
      if (isKey || callsLess) yield { ...query, items: query.items.with(index, less) };
    }
  }
  if (query.where !== undefined) for (const where of smaller(query.where)) if (where.family === 'boolean') yield { ...query, where };
}

function withoutItem(query: GeneratedQuery, index: number): GeneratedQuery {
  const { items, groups, sort } = query;
  return {
    ...query,
    items: items.toSpliced(index, 1),
    groups: groups === undefined ? undefined : index < groups ? groups - 1 : groups,
    sort: sort
      ?.filter(({ output }) => output !== index)
      .map(({ output, suffix }) => ({ output: output > index ? output - 1 : output, suffix })),
  };
}

import { kalamError } from '@kalamdb/protocol';
import type { Node, ResTarget, SelectStmt, WindowDef } from 'libpg-query';
import { quoteName } from './duckdb-text.ts';
import { noteEarlyChecks } from './early-checks.ts';
import { writeCondition } from './expressions.ts';
import { type FromText, writeFrom } from './from-clause.ts';
import { outputNameOf } from './output-name.ts';
import type { Piece } from './piece.ts';
import { type NamedPiece, NOTHING_VISIBLE, names, type Output, type Place, type QueryOptions, type QueryText } from './scope.ts';
import { shown } from './shown-text.ts';
import { sortedText } from './sorting.ts';
import { aliasOf, ordinalOf, rowLimits, rowsThrough, sortedBy } from './tail.ts';

/** A SELECT without WITH and set operations. */
export function writeSelect(select: SelectStmt, outer: Place, options: QueryOptions): QueryText {
  const { unit } = outer;
  if (select.targetList === undefined) return unit.missing('an empty select list', undefined);
  const from: FromText =
    select.fromClause === undefined ? { text: '', visible: NOTHING_VISIBLE, early: [] } : writeFrom(select.fromClause, outer);
  const mentioned = new Set<string>();
  const place: Place = {
    ...outer,
    scopes: [from.visible, ...outer.scopes],
    noAggregates: undefined,
    windows: windowsOf(select.windowClause ?? []),
    mentioned,
  };
  const where = select.whereClause === undefined ? '' : ` WHERE ${clause(select.whereClause, place, 'WHERE')}`;
  noteEarlyChecks(select.whereClause, place, from.early);
  const outputs = select.targetList.flatMap((target) => ('ResTarget' in target ? spread(target.ResTarget, place) : []));
  const named = outputs.map((output, index): Output => ({ ...output, inner: options.top === true ? output.name : `c${index}` }));
  const having = select.havingClause === undefined ? '' : ` HAVING ${writeCondition(select.havingClause, place, 'HAVING')}`;
  const order = sortedBy(select.sortClause ?? [], named, place, {
    other: (node) => sortKey(node, { select, outputs: named, place }),
    output: (index) => (select.distinctClause === undefined ? sortedByItself(named[index]) : undefined),
  });
  const group = groupText(select, named, place);
  const ties = select.limitOption === 'LIMIT_OPTION_WITH_TIES' ? tiesText(select, named, place) : '';
  const rest = options.top === true ? keyOrder(from, place) : '';
  const sorted =
    order === '' ? (rest === '' ? defaultOrder(select, named, options) : ` ORDER BY ${rest}`) : `${order}${rest === '' ? '' : `, ${rest}`}`;
  const tail = `${sorted}${rowLimits(select, place, ties === '')}`;
  const items = named.map(
    (output) => `${options.top === true ? shown(output.piece).text : output.piece.text} AS ${quoteName(output.inner)}`,
  );
  const head = `SELECT ${distinctText(select, named, place)}${items.join(', ')}`;
  return {
    text: `${head}${from.text === '' ? '' : ` FROM ${from.text}`}${where}${group}${having}${ties}${tail}`,
    outputs: options.top === true ? named.map(asShown) : named,
  };
}

/** An output that is shown as a text sorts as what it is. */
function sortedByItself(output: Output | undefined): string | undefined {
  return output?.piece.foreign === undefined ? undefined : output.piece.text;
}

function asShown(output: Output): Output {
  return { ...output, piece: shown(output.piece) };
}

/** FETCH FIRST n WITH TIES: the rows that no more than `n`, and those left out by OFFSET, come before. */
function tiesText(select: SelectStmt, outputs: readonly Output[], place: Place): string {
  const { unit } = place;
  if (select.sortClause === undefined)
    throw kalamError('INVALID_OPERATION', { reason: 'WITH TIES cannot be specified without ORDER BY clause' });
  if (select.distinctClause !== undefined) return unit.missing('WITH TIES of DISTINCT rows', undefined);
  const keys = select.sortClause.map((item) => {
    const node = 'SortBy' in item ? item.SortBy.node : undefined;
    if (node === undefined) return unit.missing('this ORDER BY', undefined);
    const index = ordinalOf(node, outputs, 'ORDER BY', place) ?? aliasOf(node, outputs, place);
    const text = index === undefined ? place.writer.expression(node, place).text : (outputs[index]?.piece.text ?? '');
    return sortedText(text, item, place);
  });
  return ` QUALIFY rank() OVER (ORDER BY ${keys.join(', ')}) <= ${rowsThrough(select, place)}`;
}

function windowsOf(nodes: readonly Node[]): ReadonlyMap<string, WindowDef> {
  return new Map(nodes.flatMap((node) => ('WindowDef' in node ? [[node.WindowDef.name ?? '', node.WindowDef] as const] : [])));
}

function clause(node: Node, place: Place, where: string): string {
  return writeCondition(node, { ...place, noAggregates: where, mentioned: undefined }, where);
}

/** The entries of a select list; `*` and `t.*` become the columns they stand for. */
function spread(target: ResTarget, place: Place): readonly Output[] {
  const { unit } = place;
  const value = target.val;
  if (value === undefined) return unit.missing('an empty column', target.location);
  const fields = 'ColumnRef' in value ? (value.ColumnRef.fields ?? []) : [];
  const last = fields[fields.length - 1];
  if (last !== undefined && 'A_Star' in last) {
    const qualifier = fields.slice(0, -1).map((field) => unit.name(field).toLowerCase());
    return unit.at(target.location, () => starColumns(qualifier, place)).map(({ name, piece }) => ({ name, inner: name, piece }));
  }
  const piece = place.writer.expression(value, place);
  const name = target.name === undefined ? outputNameOf(value, unit) : unit.source.name(target.name);
  return [{ name, inner: name, piece }];
}

function starColumns(qualifier: readonly string[], place: Place): readonly NamedPiece[] {
  const found = qualifier.length === 0 ? place.scopes[0] : undefined;
  if (found !== undefined) {
    if (found.relations.length === 0) throw kalamError('INVALID_OPERATION', { reason: 'SELECT * with no table specified is not valid' });
    for (const { piece } of found.columns) place.mentioned?.add(piece.text);
    return found.columns;
  }
  for (const visible of place.scopes) {
    const relation = visible.relations.find((candidate) => names(candidate, qualifier));
    if (relation === undefined) continue;
    for (const { piece } of relation.columns) place.mentioned?.add(piece.text);
    return relation.columns;
  }
  throw kalamError('TABLE_NOT_FOUND', { table: qualifier.join('.') });
}

function distinctText(select: SelectStmt, outputs: readonly Output[], place: Place): string {
  if (select.distinctClause === undefined) return '';
  const keys = select.distinctClause.filter((node) => Object.keys(node).length > 0);
  if (keys.length === 0) return 'DISTINCT ';
  const textOf = (node: Node, clauseName: string): string => {
    const index = ordinalOf(node, outputs, clauseName, place) ?? aliasOf(node, outputs, place);
    return index === undefined ? place.writer.expression(node, place).text : (outputs[index]?.piece.text ?? '');
  };
  const texts = keys.map((node) => textOf(node, 'DISTINCT ON'));
  const sorted = (select.sortClause ?? []).flatMap((item) =>
    'SortBy' in item && item.SortBy.node !== undefined ? [item.SortBy.node] : [],
  );
  checkFirstKeys(
    sorted.map((node) => textOf(node, 'ORDER BY')),
    texts,
  );
  return `DISTINCT ON (${texts.join(', ')}) `;
}

/** Rows that DISTINCT ON takes for one must be neighbours in the order, or which of them is the first would be open. */
function checkFirstKeys(sorted: readonly string[], distinct: readonly string[]): void {
  const other = sorted.findIndex((text) => !distinct.includes(text));
  if (other < 0) return;
  const before = new Set(sorted.slice(0, other));
  if (distinct.every((text) => before.has(text))) return;
  throw kalamError('INVALID_OPERATION', { reason: 'SELECT DISTINCT ON expressions must match initial ORDER BY expressions' });
}

interface Sorting {
  readonly select: SelectStmt;
  readonly outputs: readonly Output[];
  readonly place: Place;
}

/** An expression in ORDER BY: the output that is the same, or one beside them. */
function sortKey(node: Node, { select, outputs, place }: Sorting): string {
  const { text } = place.writer.expression(node, place);
  const shown = outputs.findIndex((output) => output.piece.text === text);
  if (shown >= 0) return String(shown + 1);
  const plain = select.distinctClause?.every((item) => Object.keys(item).length === 0) === true;
  if (!plain) return text;
  return place.unit.near(node, () => {
    throw kalamError('INVALID_OPERATION', { reason: 'for SELECT DISTINCT, ORDER BY expressions must appear in select list' });
  });
}

function groupText(select: SelectStmt, outputs: readonly Output[], place: Place): string {
  const nodes = select.groupClause ?? [];
  if (nodes.length === 0) return '';
  if (select.groupDistinct === true) return place.unit.missing('GROUP BY DISTINCT', undefined);
  const inner: Place = { ...place, noAggregates: 'GROUP BY', mentioned: undefined };
  const sets = nodes.some((node) => 'GroupingSet' in node);
  const keys = nodes.map((node) => groupItem(node, { outputs, place: inner, sets }));
  return ` GROUP BY ${[...keys.map(({ text }) => text), ...(sets ? [] : dependents(keys, place))].join(', ')}`;
}

interface GroupKey {
  readonly text: string;
  readonly piece: Piece | undefined;
}

interface Grouping {
  readonly outputs: readonly Output[];
  readonly place: Place;
  readonly sets: boolean;
}

/** A group key is an input column, else the alias of an output, else an ordinal, else an expression. */
function groupItem(node: Node, grouping: Grouping): GroupKey {
  const { outputs, place } = grouping;
  if ('GroupingSet' in node)
    return { text: groupingSet(node.GroupingSet.kind, node.GroupingSet.content ?? [], grouping), piece: undefined };
  if ('RowExpr' in node) {
    const items = (node.RowExpr.args ?? []).map((item) => groupItem(item, grouping).text);
    return { text: `(${items.join(', ')})`, piece: undefined };
  }
  const index =
    'A_Const' in node
      ? ordinalOf(node, outputs, 'GROUP BY', place)
      : isInputColumn(node, place)
        ? undefined
        : aliasOf(node, outputs, place);
  const output = index === undefined ? undefined : outputs[index];
  if (output === undefined || index === undefined) {
    const written = place.writer.expression(node, place);
    return { text: written.text, piece: written };
  }
  if ('A_Const' in node) checkNoAggregate(output, node, place);
  return { text: grouping.sets ? output.piece.text : String(index + 1), piece: output.piece };
}

/** An ordinal or alias may not mean an aggregate: DuckDB says so itself, without a word that a reader knows. */
function checkNoAggregate(output: Output, node: Node, place: Place): void {
  if (/^CAST\((count|sum|avg|min|max)\(/.test(output.piece.text)) {
    const location = 'A_Const' in node ? node.A_Const.location : undefined;
    place.unit.fail(location, kalamError('AGGREGATE_MISUSE', { reason: 'aggregate functions are not allowed in GROUP BY' }));
  }
}

function isInputColumn(node: Node, place: Place): boolean {
  if (!('ColumnRef' in node) || node.ColumnRef.fields?.length !== 1) return false;
  const name = place.unit.name(node.ColumnRef.fields[0]);
  return place.scopes[0]?.columns.some((column) => column.name === name) === true;
}

function groupingSet(kind: string | undefined, content: readonly Node[], grouping: Grouping): string {
  const items = content.map((node) => groupItem(node, grouping).text).join(', ');
  switch (kind) {
    case 'GROUPING_SET_ROLLUP':
      return `ROLLUP (${items})`;
    case 'GROUPING_SET_CUBE':
      return `CUBE (${items})`;
    case 'GROUPING_SET_SETS':
      return `GROUPING SETS (${items})`;
    default:
      return `(${items})`;
  }
}

/** Columns of a table whose primary key is a group key are the same in the whole group, so they may be used as they are. */
function dependents(keys: readonly GroupKey[], place: Place): readonly string[] {
  const grouped = new Set(keys.map(({ piece }) => piece?.text));
  const tables = keys.flatMap(({ piece }) =>
    piece?.column?.primaryKey === true ? [piece.text.slice(0, piece.text.indexOf('.') + 1)] : [],
  );
  return [...(place.mentioned ?? [])].filter((text) => !grouped.has(text) && tables.some((table) => text.startsWith(table)));
}

/** See `GeneralRequest`. A table without a key is in the order of `_seq`. */
function keyOrder({ visible: { columns } }: FromText, { unit: { plan } }: Place): string {
  const { keyOrder: wanted } = plan.request;
  const key =
    columns.find(({ piece }) => piece.column?.primaryKey === true) ?? columns.find(({ piece }) => piece.column?.system === '_seq');
  if (wanted === undefined || key === undefined) return '';
  return wanted === 'rows' ? key.piece.text : `min(${key.piece.text})`;
}

/** Without ORDER BY the statement's rows come by the first primary key among its columns (wire-protocol 3.7). */
function defaultOrder(select: SelectStmt, outputs: readonly Output[], options: QueryOptions): string {
  if (options.top !== true || select.groupClause !== undefined || select.distinctClause !== undefined) return '';
  const index = outputs.findIndex(({ piece }) => piece.column?.primaryKey === true);
  return index < 0 ? '' : ` ORDER BY ${index + 1} ASC NULLS LAST`;
}

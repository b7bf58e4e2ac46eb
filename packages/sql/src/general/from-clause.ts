import { kalamError } from '@kalamdb/protocol';
import type { Alias, JoinExpr, Node, RangeFunction, RangeSubselect, RangeVar } from 'libpg-query';
import { parseSelect } from '../parser/postgres/postgres-parser.ts';
import { missingInTable, tableName } from '../parser/postgres/tables.ts';
import type { TableInfo } from '../plan/table-info.ts';
import { callName } from './calls.ts';
import { quoteName } from './duckdb-text.ts';
import { noteEarlyChecks } from './early-checks.ts';
import { writeCondition } from './expressions.ts';
import { unified, writeComparison } from './meeting.ts';
import { type Piece, piece, referredTo } from './piece.ts';
import {
  besides,
  commonTable,
  hiddenColumns,
  type NamedPiece,
  NOTHING_VISIBLE,
  type Output,
  type Place,
  type Relation,
  type Visible,
} from './scope.ts';
import { writeTableFunction } from './table-functions.ts';
import { Unit } from './unit.ts';
import { writeVectorSearch } from './vector-search.ts';

/** Views in views go no deeper. */
const VIEW_DEPTH_MAX = 16;

/** A part of FROM: its text and the names it offers. */
export interface FromText {
  readonly text: string;
  readonly visible: Visible;
  /** Aliases of tables whose rows may be left out early when they do not meet a condition on all of it; see `noteEarlyChecks`. */
  readonly early: readonly string[];
}

/** A FROM clause; `place` is that of the query around. Entries may look at those before them where SQL says so. */
export function writeFrom(nodes: readonly Node[], place: Place): FromText {
  const texts: string[] = [];
  const early: string[] = [];
  let visible = NOTHING_VISIBLE;
  for (const node of nodes) {
    const entry = writeEntry(node, place, visible);
    texts.push(entry.text);
    early.push(...entry.early);
    visible = besides(visible, entry.visible);
  }
  checkNames(visible, place);
  return { text: texts.join(', '), visible, early };
}

function checkNames({ relations }: Visible, { unit }: Place): void {
  const seen = new Set<string>();
  for (const { name, namespace } of relations) {
    const key = `${namespace ?? ''}.${name ?? ''}`;
    if (name !== undefined && seen.has(key)) {
      unit.fail(undefined, kalamError('INVALID_OPERATION', { reason: `table name "${name}" specified more than once` }));
    }
    seen.add(key);
  }
}

function writeEntry(node: Node, place: Place, left: Visible): FromText {
  const { unit } = place;
  if ('RangeVar' in node) return writeTable(node.RangeVar, place);
  if ('JoinExpr' in node) return writeJoin(node.JoinExpr, place, left);
  if ('RangeSubselect' in node) return writeSubselect(node.RangeSubselect, place, left);
  if ('RangeFunction' in node) return writeFunction(node.RangeFunction, place, left);
  if ('RangeTableSample' in node) return unit.missing('TABLESAMPLE', node.RangeTableSample.location);
  return unit.missing('table functions', undefined);
}

/** The scopes of an entry that may look at those before it. */
function sideways(place: Place, left: Visible): Place {
  return { ...place, scopes: [left, ...place.scopes], noAggregates: 'FROM' };
}

function writeTable(relation: RangeVar, place: Place): FromText {
  const { unit } = place;
  const missing = relation.alias?.colnames === undefined ? missingInTable(unit.source, relation) : undefined;
  if (missing !== undefined) return unit.missing(missing.what, relation.location);
  const name = tableName(unit.source, relation);
  const common = name.namespace === undefined ? commonTable(place.tables, unit.source.name(relation.relname ?? '')) : undefined;
  const alias = unit.plan.fresh('t');
  const own = { name: name.name, namespace: undefined };
  if (common !== undefined) {
    const columns = common.columns.map((column) => ({
      name: column.name,
      piece: { ...column.piece, text: `${quoteName(alias)}.${column.piece.text}` },
    }));
    return entry(`${quoteName(common.name)} AS ${quoteName(alias)}`, { ...own, columns, hidden: [] }, relation.alias, place);
  }
  const table = unit.at(relation.location, () => findTable(name, place));
  const view = table.kind === 'view' ? unit.plan.request.view?.(table) : undefined;
  const named = { name: table.name, namespace: relation.alias === undefined ? table.namespace : undefined };
  if (view !== undefined) {
    const query = unit.at(relation.location, () => writeView(view.query, view.namespace, place));
    const columns = asColumns(query.outputs, alias).map((column, index) => ({ ...column, name: view.columns[index] ?? column.name }));
    return entry(`(${query.text}) AS ${quoteName(alias)}`, { ...named, columns, hidden: [] }, relation.alias, place);
  }
  const columns = table.columns.map((column): NamedPiece => {
    const text = `${quoteName(alias)}.${quoteName(column.name)}`;
    return { name: column.name, piece: piece(text, column.type, column) };
  });
  const text = `${quoteName(unit.plan.source(table, alias).name)} AS ${quoteName(alias)}`;
  return { ...entry(text, { ...named, columns, hidden: hiddenColumns(columns, table.kind) }, relation.alias, place), early: [alias] };
}

function findTable(name: ReturnType<typeof tableName>, { unit }: Place): TableInfo {
  const namespace = name.namespace ?? unit.namespace;
  const table = unit.plan.request.catalog.table(namespace, name.name);
  if (table === undefined) throw kalamError('TABLE_NOT_FOUND', { table: `${namespace}.${name.name}` });
  return table;
}

function writeView(text: string, namespace: string, place: Place): ReturnType<Place['writer']['query']> {
  const depth = place.unit.depth + 1;
  if (depth > VIEW_DEPTH_MAX) throw kalamError('INVALID_OPERATION', { reason: `views are nested more than ${VIEW_DEPTH_MAX} levels deep` });
  const unit = new Unit(place.unit.plan, text, { namespace, depth });
  const inner: Place = {
    writer: place.writer,
    unit,
    scopes: [],
    tables: undefined,
    noAggregates: undefined,
    windows: new Map(),
    mentioned: undefined,
  };
  return place.writer.query(parseSelect(text, unit.source), inner);
}

/** The outputs of a query in FROM as columns of it. */
function asColumns(outputs: readonly Output[], alias: string): readonly NamedPiece[] {
  return outputs.map(({ name, inner, piece: of }) => ({
    name,
    piece: referredTo(of, `${quoteName(alias)}.${quoteName(inner)}`),
  }));
}

/** A relation under its alias, its columns under the alias's names. */
function entry(text: string, relation: Relation, alias: Alias | undefined, { unit }: Place): FromText {
  const names = (alias?.colnames ?? []).map((node) => unit.name(node));
  if (names.length > relation.columns.length) {
    throw kalamError('INVALID_OPERATION', {
      reason: `the alias has ${names.length} columns, but the table has ${relation.columns.length}`,
    });
  }
  const columns = relation.columns.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
  const name = alias?.aliasname === undefined ? relation.name : unit.source.name(alias.aliasname).toLowerCase();
  const renamed: Relation = { ...relation, name, namespace: alias === undefined ? relation.namespace : undefined, columns };
  return { text, visible: { relations: [renamed], columns }, early: [] };
}

function writeSubselect(subselect: RangeSubselect, place: Place, left: Visible): FromText {
  const { subquery, alias, lateral } = subselect;
  if (subquery === undefined || !('SelectStmt' in subquery)) return place.unit.missing('this subquery', undefined);
  const inner: Place = { ...(lateral === true ? sideways(place, left) : place), noAggregates: undefined };
  const query = place.writer.query(subquery.SelectStmt, inner);
  const name = place.unit.plan.fresh('t');
  const text = `${lateral === true ? 'LATERAL ' : ''}(${query.text}) AS ${quoteName(name)}`;
  return entry(text, { name: undefined, namespace: undefined, columns: asColumns(query.outputs, name), hidden: [] }, alias, place);
}

/** `vector_search`, and the functions that make rows. */
function writeFunction(range: RangeFunction, place: Place, left: Visible): FromText {
  const { unit } = place;
  const [item, second] = range.functions ?? [];
  const [node] = item !== undefined && 'List' in item ? (item.List.items ?? []) : [];
  if (second !== undefined) return unit.missing('ROWS FROM with several functions', undefined);
  if (range.coldeflist !== undefined) return unit.missing('a function with a list of column definitions', undefined);
  if (node === undefined || !('FuncCall' in node)) return unit.missing('this function in FROM', undefined);
  const call = node.FuncCall;
  const name = callName(call, place);
  const inner = sideways(place, left);
  if (name === 'vector_search' && range.ordinality !== true) {
    const operands = (call.args ?? []).map((argument) => place.writer.expression(argument, inner));
    const { text, columns } = unit.at(call.location, () => writeVectorSearch(operands, place));
    return entry(text, { name, namespace: undefined, columns, hidden: [] }, range.alias, place);
  }
  const { text, relation } = writeTableFunction(call, range, inner);
  return entry(text, relation, range.alias, place);
}

const JOINS: ReadonlyMap<string, string> = new Map([
  ['JOIN_INNER', 'JOIN'],
  ['JOIN_LEFT', 'LEFT JOIN'],
  ['JOIN_RIGHT', 'RIGHT JOIN'],
  ['JOIN_FULL', 'FULL JOIN'],
]);

function writeJoin(join: JoinExpr, place: Place, before: Visible): FromText {
  const { unit } = place;
  const { jointype = 'JOIN_INNER', larg, rarg, quals } = join;
  const words = JOINS.get(jointype);
  if (words === undefined || larg === undefined || rarg === undefined) return unit.missing(`join ${jointype}`, undefined);
  if (join.join_using_alias !== undefined) return unit.missing('an alias of USING', undefined);
  const left = writeEntry(larg, place, before);
  const right = writeEntry(rarg, place, besides(before, left.visible));
  const shared = sharedNames(join, left.visible, right.visible, place);
  const [keepsLeft, keepsRight] = [jointype === 'JOIN_LEFT', jointype === 'JOIN_RIGHT'];
  const inner = jointype === 'JOIN_INNER';
  const early = [...(inner || keepsLeft ? left.early : []), ...(inner || keepsRight ? right.early : [])];
  const text = (words_: string, on: string): string => `${left.text} ${words_} ${'JoinExpr' in rarg ? `(${right.text})` : right.text}${on}`;
  if (shared !== undefined && shared.length > 0) {
    const merged = unit.near(rarg, () => mergeColumns(shared, jointype, { left: left.visible, right: right.visible, place }));
    return named({ text: text(words, ` ON (${merged.condition})`), visible: merged.visible, early }, join, place);
  }
  const visible = besides(left.visible, right.visible);
  if (quals === undefined) return named({ text: inner ? text('CROSS JOIN', '') : text(words, ' ON (true)'), visible, early }, join, place);
  checkNames(visible, place);
  const within: Place = { ...place, scopes: [visible, ...place.scopes], noAggregates: 'JOIN conditions' };
  const condition = writeCondition(quals, within, 'JOIN/ON');
  // A row of the side that is not kept meets nothing when it does not meet the condition.
  noteEarlyChecks(quals, within, [...(inner || keepsRight ? left.early : []), ...(inner || keepsLeft ? right.early : [])]);
  return named({ text: text(words, ` ON (${condition})`), visible, early }, join, place);
}

/** `(a JOIN b) AS j` hides the names inside. */
function named(from: FromText, join: JoinExpr, place: Place): FromText {
  if (join.alias === undefined) return from;
  const { text, visible, early } = from;
  return { ...entry(text, { name: undefined, namespace: undefined, columns: visible.columns, hidden: [] }, join.alias, place), early };
}

/** The columns of USING, or those that NATURAL finds. */
function sharedNames(join: JoinExpr, left: Visible, right: Visible, { unit }: Place): readonly string[] | undefined {
  if (join.usingClause !== undefined) return join.usingClause.map((node) => unit.name(node));
  if (join.isNatural !== true) return undefined;
  const names = new Set(right.columns.filter(({ piece: { column } }) => column?.system === undefined).map(({ name }) => name));
  return left.columns.filter(({ name, piece: { column } }) => column?.system === undefined && names.has(name)).map(({ name }) => name);
}

interface Sides {
  readonly left: Visible;
  readonly right: Visible;
  readonly place: Place;
}

function mergeColumns(
  shared: readonly string[],
  jointype: string,
  { left, right, place }: Sides,
): { readonly condition: string; readonly visible: Visible } {
  const conditions: string[] = [];
  const merged = shared.map((name): NamedPiece => {
    const [a, b] = [one(left, name), one(right, name)];
    conditions.push(writeComparison('=', a, b, place).text);
    if (jointype === 'JOIN_RIGHT') return { name, piece: b };
    if (jointype !== 'JOIN_FULL') return { name, piece: a };
    const alike = unified([a, b], 'JOIN/USING', place);
    return { name, piece: alike.as(`coalesce(${alike.texts.join(', ')})`) };
  });
  const rest = (visible: Visible): readonly NamedPiece[] => visible.columns.filter(({ name }) => !shared.includes(name));
  return {
    condition: conditions.join(' AND '),
    visible: { relations: [...left.relations, ...right.relations], columns: [...merged, ...rest(left), ...rest(right)] },
  };
}

function one(visible: Visible, name: string): Piece {
  const [found, second] = visible.columns.filter((column) => column.name === name);
  if (second !== undefined) throw kalamError('COLUMN_AMBIGUOUS', { column: name });
  if (found === undefined) throw kalamError('COLUMN_NOT_FOUND', { column: name, hint: '' });
  return found.piece;
}

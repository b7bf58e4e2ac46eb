import { kalamError, plainType } from '@kalamdb/protocol';
import type { Node, SelectStmt, WindowDef } from 'libpg-query';
import { UPDATED_COLUMN } from '../plan/scope.ts';
import { type Piece, piece, rowPiece } from './piece.ts';
import type { Unit } from './unit.ts';

/** A column as expressions see it. */
export interface NamedPiece {
  readonly name: string;
  readonly piece: Piece;
}

/** Something in FROM that has a name of its own. */
export interface Relation {
  /** The alias, or the table's own name. */
  readonly name: string | undefined;
  /** Of a table without alias: the namespace that may stand before its name. */
  readonly namespace: string | undefined;
  readonly columns: readonly NamedPiece[];
  /** Columns that can be named but are in no `*`. */
  readonly hidden: readonly NamedPiece[];
  /** Of a function that gives one value per row: the value, which the relation's own name means too. */
  readonly scalar?: Piece;
}

/** What a FROM clause, or a part of it, offers. */
export interface Visible {
  readonly relations: readonly Relation[];
  /** What `*` gives and what unqualified names mean; columns of USING are in it once. */
  readonly columns: readonly NamedPiece[];
}

/** Nothing. */
export const NOTHING_VISIBLE: Visible = { relations: [], columns: [] };

/** Both. */
export function besides(left: Visible, right: Visible): Visible {
  return { relations: [...left.relations, ...right.relations], columns: [...left.columns, ...right.columns] };
}

/** A common table expression that is in scope. */
export interface CommonTable {
  readonly name: string;
  readonly columns: readonly NamedPiece[];
}

/** The names of common tables, innermost first. */
export interface CommonTables {
  readonly tables: ReadonlyMap<string, CommonTable>;
  readonly outer: CommonTables | undefined;
}

/** Finds a common table. */
export function commonTable(of: CommonTables | undefined, name: string): CommonTable | undefined {
  for (let scope = of; scope !== undefined; scope = scope.outer) {
    const found = scope.tables.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where an expression or a query stands. */
export interface Place {
  readonly writer: Writer;
  readonly unit: Unit;
  /** Innermost first: this query's FROM, then those of the queries around it. */
  readonly scopes: readonly Visible[];
  readonly tables: CommonTables | undefined;
  /** The clause, when aggregates are refused in it. */
  readonly noAggregates: string | undefined;
  /** The WINDOW clause by name. */
  readonly windows: ReadonlyMap<string, WindowDef>;
  /** Gathers the columns that are used outside of aggregates. */
  readonly mentioned: Set<string> | undefined;
}

/** A column of a query's result. */
export interface Output {
  /** As the dialect names it. */
  readonly name: string;
  /** As the text names it. */
  readonly inner: string;
  readonly piece: Piece;
}

/** A query as DuckDB's SQL, without parentheses. */
export interface QueryText {
  readonly text: string;
  readonly outputs: readonly Output[];
}

/** The functions that call each other; one object, so that no module needs to import its caller. */
export interface Writer {
  expression(node: Node, place: Place): Piece;
  query(select: SelectStmt, place: Place, options?: QueryOptions): QueryText;
  /** A function by its name, over pieces. */
  call(name: string, operands: readonly Piece[], place: Place): Piece;
}

/** How a query is written. */
export interface QueryOptions {
  /** It is the statement itself: its columns get their own names and its rows an order. */
  readonly top?: boolean;
}

/** The column that a reference means. Throws COLUMN_NOT_FOUND, COLUMN_AMBIGUOUS and TABLE_NOT_FOUND. */
export function resolveColumn(qualifier: readonly string[], name: string, place: Place): Piece {
  for (const visible of place.scopes) {
    const found = qualifier.length === 0 ? unqualified(visible, name) : qualified(visible, qualifier, name);
    if (found === undefined) continue;
    place.mentioned?.add(found.text);
    return found;
  }
  const row = qualifier.length === 0 ? rowOf(name, place) : undefined;
  if (row !== undefined) return row;
  const near = place.scopes[0]?.columns.find((column) => column.name === name.toLowerCase());
  const hint = near === undefined || qualifier.length > 0 ? '' : `; did you mean '${near.name}'?`;
  throw kalamError('COLUMN_NOT_FOUND', { column: [...qualifier, name].join('.'), hint });
}

/** The row of a relation that is named like a column. */
function rowOf(name: string, { scopes, mentioned }: Place): Piece | undefined {
  for (const { relations } of scopes) {
    const relation = relations.find((candidate) => candidate.name === name);
    if (relation === undefined) continue;
    for (const { piece: of } of relation.columns) mentioned?.add(of.text);
    return wholeRow(relation);
  }
  return undefined;
}

/** A relation's row; that of an outer join's empty side is NULL. System columns are not in it. */
function wholeRow({ columns, scalar }: Relation): Piece | undefined {
  if (scalar !== undefined) return scalar;
  const fields = columns.filter(({ piece: { column } }) => column?.system === undefined);
  if (fields.length === 0) return undefined;
  const row = rowPiece(fields);
  const absent = fields.map(({ piece: { text } }) => `${text} IS NULL`).join(' AND ');
  return { ...row, text: `(CASE WHEN ${absent} THEN NULL ELSE ${row.text} END)` };
}

function unqualified(visible: Visible, name: string): Piece | undefined {
  return (
    only(visible.columns, name) ??
    only(
      visible.relations.flatMap((relation) => relation.hidden),
      name,
    )
  );
}

function only(columns: readonly NamedPiece[], name: string): Piece | undefined {
  const found = columns.filter((column) => column.name === name);
  if (found.length > 1) throw kalamError('COLUMN_AMBIGUOUS', { column: name });
  return found[0]?.piece;
}

function qualified(visible: Visible, qualifier: readonly string[], name: string): Piece | undefined {
  const relation = visible.relations.find((candidate) => names(candidate, qualifier));
  return relation === undefined ? undefined : (only(relation.columns, name) ?? only(relation.hidden, name));
}

/** Whether `alias.`, `table.` or `namespace.table.` means a relation. */
export function names(relation: Relation, qualifier: readonly string[]): boolean {
  const [first, second] = qualifier;
  if (qualifier.length === 1) return relation.name === first;
  return qualifier.length === 2 && relation.namespace !== undefined && relation.namespace === first && relation.name === second;
}

/** The column that is in no list: when a row was written last, read from its `_seq`. */
export function hiddenColumns(columns: readonly NamedPiece[], kind: string): readonly NamedPiece[] {
  const seq = columns.find(({ piece: { column } }) => column?.system === '_seq');
  if (seq === undefined || kind === 'stream' || columns.some(({ name }) => name === UPDATED_COLUMN)) return [];
  const micros = `((${seq.piece.text} >> 22) + CAST(1704067200000 AS BIGINT)) * CAST(1000 AS BIGINT)`;
  return [{ name: UPDATED_COLUMN, piece: piece(`make_timestamp(${micros})`, plainType('timestamp')) }];
}

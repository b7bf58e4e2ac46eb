import { type Cell, type DataType, kalamError, sqlTypeName } from '@kalamdb/protocol';
import type { Node, ResTarget, SubLink } from 'libpg-query';
import { coerce, coercible } from '../../expression/common-type.ts';
import { type Convert, conversion } from '../../expression/conversion.ts';
import type { ColumnInfo, EvalContext } from '../../expression/input-row.ts';
import { assignedPlace, coercionFailed, fillerNode } from '../../plan/assignments.ts';
import { evaluateFixed } from '../../plan/key-lookup.ts';
import type { TableInfo } from '../../plan/table-info.ts';
import { quoteName } from '../duckdb-text.ts';
import { type Piece, standIn, typeOf } from '../piece.ts';
import type { Place } from '../scope.ts';
import type { RowSetText } from './row-set-text.ts';

/** An expression on its way into a column. */
interface AssignedPiece {
  readonly text: string;
  /** What DuckDB gives. */
  readonly type: DataType;
  /** What makes of it what the column holds, as everywhere else. */
  readonly convert: Convert;
}

/** A value as it goes into a column: a literal in the column's type, anything else in its own. Throws COERCION_FAILED when the type does not fit. */
export function assignedPiece(of: Piece, column: ColumnInfo, { unit }: Place): AssignedPiece {
  const { typed } = of;
  if (typed === undefined) {
    const reason = `cannot store this kind of value in column '${column.name}' of type ${sqlTypeName(column.type)}`;
    throw kalamError('COERCION_FAILED', { reason });
  }
  if (!coercible(typed, column.type, 'assignment')) throw coercionFailed(typed.type, column);
  if (typed.kind === 'value') {
    const text = unit.values.coerced(of, coerce(typed, column.type, 'assignment'));
    return { text, type: column.type, convert: (cell) => cell };
  }
  return { text: of.text, type: typed.type, convert: conversion(typed.type, column.type, 'assignment') ?? ((cell) => cell) };
}

/** What makes the cells of SET out of a row of the row set; places are those of the table's columns. */
export type CellMaker = (found: readonly Cell[], context: EvalContext) => Cell;

/** A subquery that gives several columns: `(a, b) = (SELECT …)`. */
interface SharedRow {
  readonly firstPlace: number;
  readonly types: readonly DataType[];
}

/** Writes the entries of SET into a row set. */
export class AssignmentWriter {
  readonly #table: TableInfo;
  readonly #place: Place;
  readonly #rows: RowSetText;
  readonly #guard: (text: string) => string;
  readonly #makers = new Map<number, CellMaker>();
  #shared: SharedRow | undefined;

  /** `guard` goes around each expression. */
  constructor(table: TableInfo, place: Place, rows: RowSetText, guard: (text: string) => string = (text) => text) {
    this.#table = table;
    this.#place = place;
    this.#rows = rows;
    this.#guard = guard;
  }

  /** Throws KEY_UPDATE, SYSTEM_COLUMN_WRITE, COLUMN_NOT_FOUND, COERCION_FAILED and what the expressions throw. */
  write(target: ResTarget): void {
    const { unit } = this.#place;
    const index = unit.at(target.location, () => assignedPlace(unit.source.name(target.name ?? ''), this.#table, [...this.#makers.keys()]));
    const column = this.#table.columns[index];
    if (column === undefined) return;
    const { val } = target;
    const node = val !== undefined && 'MultiAssignRef' in val ? this.#ofRow(val.MultiAssignRef) : { node: val };
    this.#makers.set(index, 'node' in node ? this.#maker(node.node, column, target) : this.#shareMaker(node, column, target));
  }

  /** The new stored cells of a row. */
  get apply(): (before: readonly Cell[], found: readonly Cell[], context: EvalContext) => readonly Cell[] {
    const makers = [...this.#makers];
    return (before, found, context) => {
      const cells = before.slice();
      for (const [index, make] of makers) cells[index] = make(found, context);
      return cells;
    };
  }

  #maker(node: Node | undefined, column: ColumnInfo, { location }: ResTarget): CellMaker {
    const place = this.#place;
    if (node === undefined) return place.unit.missing('an empty assignment', location);
    if ('SetToDefault' in node) {
      const filler = fillerNode(column);
      return (_found, context) => evaluateFixed(filler, context);
    }
    const { text, type, convert } = place.unit.near(node, () => assignedPiece(place.writer.expression(node, place), column, place));
    return converted(this.#rows.add(this.#guard(text), type), convert);
  }

  /** `(a, b) = (1, 2)` comes as one row that every target refers to; `(a, b) = (SELECT …)` is computed once. */
  #ofRow(reference: {
    source?: Node;
    colno?: number;
    ncolumns?: number;
  }): { readonly node: Node | undefined } | { readonly shared: number } {
    const { source, colno = 1, ncolumns } = reference;
    const values = source !== undefined && 'RowExpr' in source ? (source.RowExpr.args ?? []) : [];
    if (values.length === ncolumns) return { node: values[colno - 1] };
    if (source === undefined || !('SubLink' in source)) return this.#place.unit.missing('assignments of several columns', undefined);
    if (colno === 1) this.#shared = this.#share(source.SubLink, ncolumns ?? 0);
    return { shared: colno - 1 };
  }

  #share({ subselect, location }: SubLink, count: number): SharedRow {
    const { unit, writer } = this.#place;
    if (subselect === undefined || !('SelectStmt' in subselect)) return unit.missing('this subquery', location);
    const query = writer.query(subselect.SelectStmt, { ...this.#place, noAggregates: undefined });
    const types = query.outputs.flatMap(({ piece }) => typeOf(piece) ?? []);
    if (query.outputs.length !== count || types.length !== count) {
      return unit.fail(location, kalamError('INVALID_OPERATION', { reason: 'number of columns does not match number of values' }));
    }
    const alias = quoteName(unit.plan.fresh('q'));
    const fields = query.outputs.map(({ inner }, index) => `c${index} := ${alias}.${quoteName(inner)}`);
    const text = `(SELECT struct_pack(${fields.join(', ')}) FROM (${query.text}) AS ${alias})`;
    return { firstPlace: this.#rows.addStruct(this.#guard(text), types), types };
  }

  #shareMaker({ shared }: { readonly shared: number }, column: ColumnInfo, { location }: ResTarget): CellMaker {
    const { unit } = this.#place;
    const row = this.#shared;
    const type = row?.types[shared];
    if (row === undefined || type === undefined) return unit.missing('assignments of several columns', location);
    const fits = coercible(standIn(type), column.type, 'assignment');
    unit.at(location, () => {
      if (!fits) throw coercionFailed(type, column);
    });
    return converted(row.firstPlace + shared, conversion(type, column.type, 'assignment') ?? ((cell) => cell));
  }
}

function converted(place: number, convert: Convert): CellMaker {
  return (found) => {
    const cell = found[place] ?? null;
    return cell === null ? null : convert(cell);
  };
}

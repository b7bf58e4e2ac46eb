import { type Cell, KalamError, type NonNullCell, sameType } from '@kalamdb/protocol';
import type { A_Expr, Node } from 'libpg-query';
import { type ComparisonOperator, comparison } from '../expression/comparison.ts';
import type { ColumnInfo } from '../expression/input-row.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { isCellOf } from '../plan/key-lookup.ts';
import { quoteName } from './duckdb-text.ts';
import type { GeneralCheck } from './general-plan.ts';
import { isComparison } from './meeting.ts';
import type { Piece } from './piece.ts';
import type { Place } from './scope.ts';

type OrderTest = Extract<GeneralCheck, { readonly cell: NonNullCell }>['test'];

/**
 * Notes what a condition says of tables alone, so that their scan may leave rows out before the query sees them. `early` are the aliases
 * of tables for which that changes no answer: a row that makes a part of the condition not true is in no result through them.
 *
 * Only what is plain is noted: a column of a table against values as written, in the column's own type, joined by AND. The
 * text keeps the condition, so what is not noted costs time only.
 */
export function noteEarlyChecks(condition: Node | undefined, place: Place, early: readonly string[]): void {
  if (condition === undefined || early.length === 0) return;
  if ('BoolExpr' in condition) {
    if (condition.BoolExpr.boolop === 'AND_EXPR') for (const part of condition.BoolExpr.args ?? []) noteEarlyChecks(part, place, early);
    return;
  }
  const quiet: Place = { ...place, mentioned: undefined };
  try {
    for (const [alias, check] of checksOf(condition, quiet, early)) place.unit.plan.check(alias, check);
  } catch (error) {
    // What cannot be read here was written, or refused, where it stands.
    if (!(error instanceof KalamError)) throw error;
  }
}

type Found = readonly (readonly [alias: string, check: GeneralCheck])[];

interface TableColumn {
  readonly alias: string;
  readonly piece: Piece;
  readonly column: ColumnInfo;
}

function checksOf(condition: Node, place: Place, early: readonly string[]): Found {
  if ('NullTest' in condition) {
    const found = tableColumn(condition.NullTest.arg, place, early);
    const test = condition.NullTest.nulltesttype === 'IS_NOT_NULL' ? 'not null' : 'null';
    return found === undefined ? [] : [[found.alias, { column: found.column.name, test }]];
  }
  return 'A_Expr' in condition ? checksOfOperation(condition.A_Expr, place, early) : [];
}

function checksOfOperation(operation: A_Expr, place: Place, early: readonly string[]): Found {
  const { kind, lexpr, rexpr } = operation;
  const operator = nameText(operation.name?.[0]);
  const left = tableColumn(lexpr, place, early);
  if (kind === 'AEXPR_OP' && operation.name?.length === 1 && isComparison(operator)) {
    return left === undefined
      ? compared(tableColumn(rexpr, place, early), operator, { node: lexpr, place, isLeft: true })
      : compared(left, operator, { node: rexpr, place, isLeft: false });
  }
  const items = rexpr !== undefined && 'List' in rexpr ? (rexpr.List.items ?? []) : [];
  if (left === undefined || items.length === 0) return [];
  if (kind === 'AEXPR_BETWEEN') {
    const [from, to] = items;
    return [...compared(left, '>=', { node: from, place, isLeft: false }), ...compared(left, '<=', { node: to, place, isLeft: false })];
  }
  return kind === 'AEXPR_IN' && operator === '=' ? listed(left, items, place) : [];
}

interface Operand {
  readonly node: Node | undefined;
  readonly place: Place;
  /** It stands before the operator. */
  readonly isLeft: boolean;
}

function compared(found: TableColumn | undefined, operator: ComparisonOperator, operand: Operand): Found {
  const made = found === undefined ? undefined : comparedCell(found, operator, operand);
  if (found === undefined || made === undefined || made.cell === null || made.test === '<>') return [];
  return [[found.alias, { column: found.column.name, test: made.test, cell: made.cell }]];
}

function listed(found: TableColumn, items: readonly Node[], place: Place): Found {
  const cells: NonNullCell[] = [];
  for (const node of items) {
    const made = comparedCell(found, '=', { node, place, isLeft: false });
    if (made === undefined || made.test !== '=') return [];
    if (made.cell !== null) cells.push(made.cell);
  }
  return [[found.alias, { column: found.column.name, test: 'in', cells }]];
}

/** The value of a comparison as the compiled binder has it, if the column is compared as it is; `undefined`: it is another kind of condition. */
function comparedCell(
  { piece: { typed }, column }: TableColumn,
  operator: ComparisonOperator,
  { node, place, isLeft }: Operand,
): { readonly test: OrderTest | '<>'; readonly cell: Cell } | undefined {
  if (node === undefined || !('A_Const' in node || 'ParamRef' in node)) return undefined;
  const value = place.writer.expression(node, place);
  if (typed === undefined || value.typed === undefined) return undefined;
  const made = isLeft ? comparison(operator, value.typed, typed, 0) : comparison(operator, typed, value.typed, 0);
  if (made.kind !== 'operation' || !isComparison(made.name)) return undefined;
  const [tested, met] = made.operands;
  if (tested !== typed || met === undefined || !sameType(met.type, column.type)) return undefined;
  const cell = place.unit.values.cellOf(met);
  return cell === null || isCellOf(cell, column.type) ? { test: made.name, cell } : undefined;
}

/** A column of a table, if the node is one. */
function tableColumn(node: Node | undefined, place: Place, early: readonly string[]): TableColumn | undefined {
  if (node === undefined || !('ColumnRef' in node)) return undefined;
  const piece = place.writer.expression(node, place);
  const { column } = piece;
  if (column === undefined || column.system === '_deleted') return undefined;
  const alias = early.find((name) => piece.text === `${quoteName(name)}.${quoteName(column.name)}`);
  return alias === undefined ? undefined : { alias, piece, column };
}

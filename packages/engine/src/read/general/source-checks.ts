import { compareCells, type NonNullCell } from '@kalamdb/protocol';
import type { GeneralCheck, KeyBound, KeyBounds } from '@kalamdb/sql';
import type { ColumnBuffer, RowKey } from '@kalamdb/storage';
import type { Table } from '../../catalog/table.ts';
import type { RowAccess } from '../granted-rows.ts';
import { keysOf, rangeBetween } from '../key-range.ts';
import type { HotSource, SourceColumn } from './query-messages.ts';

type Checks = readonly GeneralCheck[];

const WHOLE: RowAccess = { kind: 'scan', range: {} };

/** The part of a partition that the checks of its table leave, by its key. What its reader may not see says nothing. */
export function checkedAccess(table: Table, { checks, maskedCells }: Pick<HotSource, 'checks' | 'maskedCells'>): RowAccess {
  const { keyColumn, keyIndex } = table;
  if (checks === undefined || keyColumn === undefined || maskedCells.includes(keyIndex)) return WHOLE;
  if (keyColumn.type.kind === 'float' || keyColumn.type.kind === 'double') return WHOLE;
  const ofKey = checks.map((list) => list.filter(({ column }) => column === keyColumn.name));
  const keys: RowKey[] = [];
  for (const list of ofKey) {
    const cells = cellsNamed(list);
    if (cells === undefined) return ofKey.length === 1 ? betweenBounds(table, list) : WHOLE;
    keys.push(...keysOf(table, cells));
  }
  return { kind: 'keys', keys: [...new Set(keys)].sort() };
}

function cellsNamed(list: Checks): readonly NonNullCell[] | undefined {
  for (const check of list) {
    if (check.test === '=') return [check.cell];
    if (check.test === 'in') return check.cells;
  }
  return undefined;
}

function betweenBounds(table: Table, list: Checks): RowAccess {
  const type = table.keyColumn?.type;
  if (type === undefined) return WHOLE;
  const compare = compareCells(type);
  let bounds: KeyBounds = { from: undefined, to: undefined };
  for (const check of list) {
    if (!('cell' in check) || check.test === '=') continue;
    const bound: KeyBound = { cell: check.cell, inclusive: check.test === '<=' || check.test === '>=' };
    if (check.test === '>' || check.test === '>=') bounds = { ...bounds, from: tighter(bounds.from, bound, compare) };
    else bounds = { ...bounds, to: tighter(bounds.to, bound, (a, b) => compare(b, a)) };
  }
  return { kind: 'scan', range: rangeBetween(table, bounds) };
}

/** Of two lower bounds the higher one. */
function tighter(known: KeyBound | undefined, next: KeyBound, compare: (a: NonNullCell, b: NonNullCell) => number): KeyBound {
  if (known === undefined) return next;
  const order = compare(next.cell, known.cell);
  return order > 0 || (order === 0 && !next.inclusive) ? next : known;
}

/** Whether a row of the buffers is needed. */
export type RowTest = (row: number) => boolean;

/** The checks of a table on rows that lie in buffers, one for each column; `undefined` when they cannot leave any out. */
export function rowTest(
  checks: HotSource['checks'],
  columns: readonly SourceColumn[],
  buffers: readonly ColumnBuffer[],
): RowTest | undefined {
  if (checks === undefined) return undefined;
  const lists: (readonly RowTest[])[] = [];
  for (const list of checks) {
    const tests = list.flatMap((check) => checkTest(check, columns, buffers) ?? []);
    if (tests.length === 0) return undefined;
    lists.push(tests);
  }
  const [only] = lists;
  if (lists.length === 1 && only !== undefined) return (row) => only.every((test) => test(row));
  return (row) => lists.some((tests) => tests.every((test) => test(row)));
}

function checkTest(check: GeneralCheck, columns: readonly SourceColumn[], buffers: readonly ColumnBuffer[]): RowTest | undefined {
  const index = columns.findIndex(({ name }) => name === check.column);
  const [column, buffer] = [columns[index], buffers[index]];
  if (column === undefined || buffer === undefined || column.masked) return undefined;
  switch (check.test) {
    case 'null':
      return (row) => buffer.isNull(row);
    case 'not null':
      return (row) => !buffer.isNull(row);
    case 'in': {
      const tests = check.cells.map((cell) => orderTest('=', buffer.comparer(cell), buffer));
      const known = tests.filter((test) => test !== undefined);
      return known.length < tests.length ? undefined : (row) => known.some((test) => test(row));
    }
    default:
      return orderTest(check.test, buffer.comparer(check.cell), buffer);
  }
}

function orderTest(
  test: '=' | '<' | '<=' | '>' | '>=',
  compare: ((row: number) => number) | undefined,
  buffer: ColumnBuffer,
): RowTest | undefined {
  if (compare === undefined) return undefined;
  switch (test) {
    case '=':
      return (row) => !buffer.isNull(row) && compare(row) === 0;
    case '<':
      return (row) => !buffer.isNull(row) && compare(row) < 0;
    case '<=':
      return (row) => !buffer.isNull(row) && compare(row) <= 0;
    case '>':
      return (row) => !buffer.isNull(row) && compare(row) > 0;
    case '>=':
      return (row) => !buffer.isNull(row) && compare(row) >= 0;
    default:
      return test satisfies never;
  }
}

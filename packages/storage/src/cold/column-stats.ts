import {
  type Cell,
  cellFromJson,
  cellToText,
  compareCells,
  type DataType,
  type JsonValue,
  kalamError,
  type NonNullCell,
} from '@kalamdb/protocol';
import type { ColumnStats, Segment } from './contract.ts';

/** Longest text that is kept as a least or greatest cell, in UTF-16 units. */
const TEXT_UNITS_MAX = 64;

/** Gathers what a manifest says of the cells of one column. */
export class StatsCollector {
  readonly #type: DataType;
  readonly #compare: ((a: NonNullCell, b: NonNullCell) => number) | undefined;
  #min: NonNullCell | undefined;
  #max: NonNullCell | undefined;
  /** It is above every number, and JSON has none. */
  #hasNaN = false;
  #nulls = 0;

  constructor(type: DataType) {
    this.#type = type;
    this.#compare = hasOrder(type) ? compareCells(type) : undefined;
  }

  add(cell: Cell): void {
    if (cell === null) {
      this.#nulls += 1;
      return;
    }
    if (this.#compare === undefined) return;
    if (Number.isNaN(cell)) {
      this.#hasNaN = true;
      return;
    }
    if (this.#min === undefined || this.#compare(cell, this.#min) < 0) this.#min = cell;
    if (this.#max === undefined || this.#compare(cell, this.#max) > 0) this.#max = cell;
  }

  finish(): ColumnStats {
    const min = statValue(this.#min, this.#type);
    const max = this.#hasNaN ? undefined : statValue(this.#max, this.#type);
    return { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }), nulls: this.#nulls };
  }
}

/** Documents, bytes and vectors are not compared by statements in a way that bounds would help. */
function hasOrder({ kind }: DataType): boolean {
  return kind !== 'json' && kind !== 'file' && kind !== 'bytes' && kind !== 'embedding';
}

/** Integers of 64 bits and decimals as texts, which `cellFromJson` takes: JSON's numbers would lose digits. */
function statValue(cell: NonNullCell | undefined, type: DataType): boolean | number | string | undefined {
  if (typeof cell === 'bigint') return type.kind === 'decimal' ? cellToText(cell, type) : String(cell);
  if (typeof cell === 'string') return cell.length > TEXT_UNITS_MAX ? undefined : cell;
  // JSON has no -0, and the two zeros are equal; it has no infinity either, which is no bound.
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell + 0 : undefined;
  return typeof cell === 'boolean' ? cell : undefined;
}

/** What a statement asks of a column. NULL among the cells of `in` asks nothing. */
export type ColumnTest =
  | { readonly op: '=' | '<' | '<=' | '>' | '>='; readonly cell: Cell }
  | { readonly op: 'in'; readonly cells: readonly Cell[] }
  | { readonly op: 'is null' }
  | { readonly op: 'is not null' };

/**
 * Whether the statistics of a segment show that no row of it passes the test. `type` is the column's today: cells of the test are of it,
 * and what the segment kept is read as one (an INT as a BIGINT). A column that the segment does not have is never excluded: what
 * its rows read there is the table's business. Throws DAMAGED_DATA when the statistics are not of the type.
 */
export function statsExclude(segment: Segment, columnId: number, test: ColumnTest, type: DataType): boolean {
  const stats = segment.stats.get(columnId);
  if (stats === undefined) return false;
  switch (test.op) {
    case 'is null':
      return stats.nulls === 0;
    case 'is not null':
      return stats.nulls === segment.rows;
    case 'in':
      return test.cells.every((cell) => excludesCell(segment, stats, { op: '=', cell, type }));
    default:
      return excludesCell(segment, stats, { op: test.op, cell: test.cell, type });
  }
}

interface CellTest {
  readonly op: '=' | '<' | '<=' | '>' | '>=';
  readonly cell: Cell;
  readonly type: DataType;
}

function excludesCell(segment: Segment, stats: ColumnStats, { op, cell, type }: CellTest): boolean {
  // Nothing compares to NULL.
  if (cell === null || stats.nulls === segment.rows) return true;
  if (!hasOrder(type) || Number.isNaN(cell)) return false;
  const compare = compareCells(type);
  const min = boundOf(stats.min, type, segment);
  const max = boundOf(stats.max, type, segment);
  const allAbove = (orEqual: boolean): boolean => min !== undefined && compare(min, cell) >= (orEqual ? 0 : 1);
  const allBelow = (orEqual: boolean): boolean => max !== undefined && compare(max, cell) <= (orEqual ? 0 : -1);
  switch (op) {
    case '=':
      return allAbove(false) || allBelow(false);
    case '<':
      return allAbove(true);
    case '<=':
      return allAbove(false);
    case '>':
      return allBelow(true);
    case '>=':
      return allBelow(false);
    default:
      return op satisfies never;
  }
}

function boundOf(value: unknown, type: DataType, { path }: Segment): NonNullCell | undefined {
  if (value === undefined) return undefined;
  try {
    return cellFromJson(value as JsonValue, type) ?? undefined;
  } catch (cause) {
    throw kalamError('DAMAGED_DATA', { where: `the manifest's statistics of ${path}`, reason: `no ${type.kind}` }, { cause });
  }
}

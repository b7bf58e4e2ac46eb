import { type Cell, compareCells, type DataType } from '@kalamdb/protocol';
import type { RowChange } from '../contract.ts';
import { eachOf, type OneOrMany, withOne, withoutOne } from './one-or-many.ts';
import type { QueryGroup } from './query-group.ts';
import type { Route } from './route.ts';
import { RoutingIntervals } from './routing-intervals.ts';

/** The groups that are found through the cells of one column. */
class ColumnRoutes {
  readonly #points = new Map<Cell, OneOrMany<QueryGroup>>();
  readonly #ranges: RoutingIntervals<QueryGroup>;

  constructor(type: DataType) {
    this.#ranges = new RoutingIntervals(compareCells(type));
  }

  get isEmpty(): boolean {
    return this.#points.size === 0 && this.#ranges.isEmpty;
  }

  add(group: QueryGroup, { points, ranges }: Route): void {
    for (const cell of points) this.#points.set(cell, withOne(this.#points.get(cell), group));
    for (const range of ranges) this.#ranges.add(range, group);
  }

  remove(group: QueryGroup, { points, ranges }: Route): void {
    for (const cell of points) {
      const left = withoutOne(this.#points.get(cell), group);
      if (left === undefined) this.#points.delete(cell);
      else this.#points.set(cell, left);
    }
    for (const range of ranges) this.#ranges.remove(range, group);
  }

  find(cell: Cell, found: (group: QueryGroup) => void): void {
    const groups = this.#points.get(cell);
    if (groups !== undefined) for (const group of eachOf(groups)) found(group);
    if (cell !== null) this.#ranges.find(cell, found);
  }
}

const NOBODY: readonly Iterable<QueryGroup>[] = [];

/**
 * The groups of one partition that have members. A group with a route is found through the cells of the changed row, old and new; the
 * others are visited for every change.
 */
export class PartitionRoutes {
  /** The cells of rows from before it are none of these columns: whoever is here has read them, in their new form. */
  readonly sinceSeq: bigint;
  readonly #everyChange = new Set<QueryGroup>();
  readonly #columns = new Map<number, ColumnRoutes>();
  /** Groups that no row can match: their values exclude each other. */
  #unreachable = 0;
  /** Numbers the changes, so that a group is found once for each. */
  #changes = 0;

  /** `sinceSeq`: the commit that made the version of the table that all the groups are for, 0n for its first. */
  constructor(sinceSeq: bigint) {
    this.sinceSeq = sinceSeq;
  }

  get isEmpty(): boolean {
    return this.#everyChange.size === 0 && this.#columns.size === 0 && this.#unreachable === 0;
  }

  add(group: QueryGroup): void {
    const { route } = group;
    // What others have numbered means nothing here.
    group.foundFor = 0;
    if (route === undefined) this.#everyChange.add(group);
    else if (isUnreachable(route)) this.#unreachable += 1;
    else this.#columnOf(group, route).add(group, route);
  }

  /** Takes out a group that was added. */
  remove(group: QueryGroup): void {
    const { route } = group;
    if (route === undefined) this.#everyChange.delete(group);
    else if (isUnreachable(route)) this.#unreachable -= 1;
    else {
      const column = this.#columnOf(group, route);
      column.remove(group, route);
      if (column.isEmpty) this.#columns.delete(route.columnIndex);
    }
  }

  /** The groups that the change can concern, each once. Groups may come and go while they are walked. */
  concerned({ cells, previous }: RowChange): readonly Iterable<QueryGroup>[] {
    const found = this.#columns.size === 0 ? [] : this.#found(cells, previous?.cells);
    if (found.length === 0) return this.#everyChange.size === 0 ? NOBODY : [this.#everyChange];
    return this.#everyChange.size === 0 ? [found] : [this.#everyChange, found];
  }

  #found(cells: readonly Cell[], before: readonly Cell[] | undefined): readonly QueryGroup[] {
    const change = ++this.#changes;
    const found: QueryGroup[] = [];
    const take = (group: QueryGroup): void => {
      if (group.foundFor === change) return;
      group.foundFor = change;
      found.push(group);
    };
    for (const [columnIndex, column] of this.#columns) {
      const cell = cells[columnIndex] ?? null;
      column.find(cell, take);
      if (before === undefined) continue;
      const previous = before[columnIndex] ?? null;
      if (previous !== cell) column.find(previous, take);
    }
    return found;
  }

  #columnOf(group: QueryGroup, { columnIndex }: Route): ColumnRoutes {
    let column = this.#columns.get(columnIndex);
    if (column === undefined) {
      column = new ColumnRoutes(group.shape.columnType(columnIndex));
      this.#columns.set(columnIndex, column);
    }
    return column;
  }
}

function isUnreachable({ points, ranges }: Route): boolean {
  return points.length === 0 && ranges.length === 0;
}

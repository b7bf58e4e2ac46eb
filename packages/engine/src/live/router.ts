import type { Cell } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import type { RowChange } from '../contract.ts';
import type { GroupMember, QueryGroup } from './query-group.ts';

/**
 * The groups of one partition that have members. A group with an equality (`column = constant` in its top-level ANDs) is
 * found through the cells of the changed row, old and new; the others are visited for every change.
 */
class PartitionRoutes {
  readonly #everyChange = new Set<QueryGroup>();
  /** Column index -> cell -> groups. Cells of the indexed types are equal exactly when they are the same Map key. */
  readonly #byCell = new Map<number, Map<Cell, Set<QueryGroup>>>();

  get isEmpty(): boolean {
    return this.#everyChange.size === 0 && this.#byCell.size === 0;
  }

  add(group: QueryGroup): void {
    const { equality } = group;
    if (equality === undefined) {
      this.#everyChange.add(group);
      return;
    }
    let cells = this.#byCell.get(equality.columnIndex);
    if (cells === undefined) {
      cells = new Map();
      this.#byCell.set(equality.columnIndex, cells);
    }
    const groups = cells.get(equality.cell);
    if (groups === undefined) cells.set(equality.cell, new Set([group]));
    else groups.add(group);
  }

  remove(group: QueryGroup): void {
    const { equality } = group;
    if (equality === undefined) {
      this.#everyChange.delete(group);
      return;
    }
    const cells = this.#byCell.get(equality.columnIndex);
    const groups = cells?.get(equality.cell);
    if (cells === undefined || groups === undefined) return;
    groups.delete(group);
    if (groups.size === 0) cells.delete(equality.cell);
    if (cells.size === 0) this.#byCell.delete(equality.columnIndex);
  }

  /** Calls `visit` for each group that the change can concern, once each. Groups may come and go meanwhile. */
  visit(change: RowChange, visit: (group: QueryGroup, change: RowChange) => void): void {
    for (const group of this.#everyChange) visit(group, change);
    const { previous } = change;
    for (const [columnIndex, cells] of this.#byCell) {
      const after = cells.get(change.cells[columnIndex] ?? null);
      if (after !== undefined) for (const group of after) visit(group, change);
      if (previous === undefined) continue;
      const before = cells.get(previous.cells[columnIndex] ?? null);
      if (before !== undefined && before !== after) for (const group of before) visit(group, change);
    }
  }
}

/** Finds, for a change, the queries that it can concern: the cost follows these, not the number of subscriptions. */
export class Router {
  readonly #tables = new Map<number, Map<string, PartitionRoutes>>();
  readonly #groups = new Map<string, QueryGroup>();
  /** Queries in use by table and owner. */
  readonly #used = new Map<number, Map<string, number>>();

  /** The group of that name, made if there is none. Each call is one use that `release` gives back. */
  acquire(name: string, make: () => QueryGroup): QueryGroup {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = make();
      this.#groups.set(name, group);
      this.#count(group.partition, 1);
    }
    group.uses += 1;
    return group;
  }

  /** Gives a use back; the last one forgets the group. */
  release(group: QueryGroup): void {
    group.uses -= 1;
    if (group.uses > 0) return;
    this.#groups.delete(group.name);
    this.#count(group.partition, -1);
  }

  /** Whether anybody subscribes to the partition, live or on the way to it. */
  isUsed({ tableId, owner }: PartitionId): boolean {
    return this.#used.get(tableId)?.has(owner) === true;
  }

  #count({ tableId, owner }: PartitionId, more: 1 | -1): void {
    let owners = this.#used.get(tableId);
    if (owners === undefined) {
      owners = new Map();
      this.#used.set(tableId, owners);
    }
    const count = (owners.get(owner) ?? 0) + more;
    if (count > 0) owners.set(owner, count);
    else owners.delete(owner);
    if (owners.size === 0) this.#used.delete(tableId);
  }

  /** From now on the member gets the changes of its group. */
  join(group: QueryGroup, member: GroupMember): void {
    group.members.add(member);
    if (group.members.size > 1) return;
    const { tableId, owner } = group.partition;
    let partitions = this.#tables.get(tableId);
    if (partitions === undefined) {
      partitions = new Map();
      this.#tables.set(tableId, partitions);
    }
    let routes = partitions.get(owner);
    if (routes === undefined) {
      routes = new PartitionRoutes();
      partitions.set(owner, routes);
    }
    routes.add(group);
  }

  /** From now on the member gets nothing; leaving twice is harmless. */
  leave(group: QueryGroup, member: GroupMember): void {
    if (!group.members.delete(member) || group.members.size > 0) return;
    const { tableId, owner } = group.partition;
    const partitions = this.#tables.get(tableId);
    const routes = partitions?.get(owner);
    if (partitions === undefined || routes === undefined) return;
    routes.remove(group);
    if (routes.isEmpty) partitions.delete(owner);
    if (partitions.size === 0) this.#tables.delete(tableId);
  }

  /** The queries on a partition; `undefined` when nobody listens to it. */
  routes({ tableId, owner }: PartitionId): PartitionRoutes | undefined {
    return this.#tables.get(tableId)?.get(owner);
  }

  /** Distinct queries in use. */
  get groupCount(): number {
    return this.#groups.size;
  }
}

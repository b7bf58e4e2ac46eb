import type { PreparedValues } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import { eachOf, type OneOrMany, withOne, withoutOne } from './one-or-many.ts';
import { PartitionRoutes } from './partition-routes.ts';
import type { GroupMember, QueryGroup } from './query-group.ts';
import type { QueryShape } from './query-shape.ts';

/** Finds, for a change, the queries that it can concern: the cost follows these, not the number of subscriptions. */
export class Router {
  readonly #tables = new Map<number, Map<string, PartitionRoutes>>();
  readonly #shapes = new Map<string, QueryShape>();
  /** Shapes in use by table and owner, retired ones too. */
  readonly #used = new Map<number, Map<string, OneOrMany<QueryShape>>>();
  #groupCount = 0;

  /** The query of that shape with these literals; shape and query are made if there are none. Each call is one use that `release` gives back. */
  acquire(shapeName: string, query: { readonly literals: string; readonly values: PreparedValues }, make: () => QueryShape): QueryGroup {
    let shape = this.#shapes.get(shapeName);
    if (shape === undefined) {
      shape = make();
      this.#shapes.set(shapeName, shape);
      this.#use(shape);
    }
    const group = shape.group(query.literals, query.values);
    if (group.uses === 0) this.#groupCount += 1;
    group.uses += 1;
    return group;
  }

  /** Gives a use back; the last one forgets the query. */
  release(group: QueryGroup): void {
    group.uses -= 1;
    if (group.uses > 0) return;
    const { shape } = group;
    this.#groupCount -= 1;
    shape.forget(group);
    if (shape.groupCount > 0) return;
    if (shape.retiredSeq === undefined) this.#shapes.delete(shape.name);
    this.#disuse(shape);
  }

  /** Whether anybody subscribes to the partition, live or on the way to it. */
  isUsed({ tableId, owner }: PartitionId): boolean {
    return this.#used.get(tableId)?.has(owner) === true;
  }

  #use(shape: QueryShape): void {
    const { tableId, owner } = shape.partition;
    let owners = this.#used.get(tableId);
    if (owners === undefined) {
      owners = new Map();
      this.#used.set(tableId, owners);
    }
    owners.set(owner, withOne(owners.get(owner), shape));
  }

  #disuse(shape: QueryShape): void {
    const { tableId, owner } = shape.partition;
    const owners = this.#used.get(tableId);
    const left = withoutOne(owners?.get(owner), shape);
    if (left !== undefined) owners?.set(owner, left);
    else owners?.delete(owner);
    if (owners?.size === 0) this.#used.delete(tableId);
  }

  /**
   * A table was altered or dropped: its queries, which had all changes up to `seq`, get none any more, and nobody who comes gets them. It
   * costs as much as there are shapes; their members let go of them one by one.
   */
  retire(tableId: number, seq: bigint): void {
    this.#tables.delete(tableId);
    for (const shapes of this.#used.get(tableId)?.values() ?? []) {
      for (const shape of eachOf(shapes)) {
        if (shape.retiredSeq !== undefined) continue;
        shape.retiredSeq = seq;
        this.#shapes.delete(shape.name);
      }
    }
  }

  /** From now on the member gets the changes of its group, unless that is retired. */
  join(group: QueryGroup, member: GroupMember): void {
    const isFirst = !group.hasMembers;
    group.addMember(member);
    if (!isFirst || group.retiredSeq !== undefined) return;
    const { tableId, owner } = group.partition;
    let partitions = this.#tables.get(tableId);
    if (partitions === undefined) {
      partitions = new Map();
      this.#tables.set(tableId, partitions);
    }
    let routes = partitions.get(owner);
    if (routes === undefined) {
      routes = new PartitionRoutes(group.sinceSeq);
      partitions.set(owner, routes);
    }
    routes.add(group);
  }

  /** From now on the member gets nothing; leaving twice is harmless. */
  leave(group: QueryGroup, member: GroupMember): void {
    if (!group.removeMember(member) || group.hasMembers || group.retiredSeq !== undefined) return;
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
    return this.#groupCount;
  }
}

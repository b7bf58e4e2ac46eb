import { kalamError } from '@kalamdb/protocol';
import type { LiveConnection } from './connection.ts';
import { eachOf, type OneOrMany, withOne, withoutOne } from './one-or-many.ts';
import type { Subscription } from './subscription.ts';

/** The open connections and their subscriptions, found by whatever ends them. */
export class LiveDirectory {
  readonly #userSubscriptionsMax: number;
  /** By user and id as live ids spell them. */
  readonly #connections = new Map<string, OneOrMany<LiveConnection>>();
  readonly #ofUsers = new Map<string, OneOrMany<LiveConnection>>();
  readonly #onTables = new Map<number, Set<Subscription>>();
  readonly #perUser = new Map<string, number>();
  #count = 0;
  #peak = 0;

  constructor(userSubscriptionsMax: number) {
    this.#userSubscriptionsMax = userSubscriptionsMax;
  }

  /** Subscriptions that are open, and the most that were at a time. */
  get count(): number {
    return this.#count;
  }

  get peak(): number {
    return this.#peak;
  }

  addConnection(connection: LiveConnection): void {
    const { name, principal } = connection;
    this.#connections.set(name, withOne(this.#connections.get(name), connection));
    this.#ofUsers.set(principal.userId, withOne(this.#ofUsers.get(principal.userId), connection));
  }

  removeConnection(connection: LiveConnection): void {
    remove(this.#connections, connection.name, connection);
    remove(this.#ofUsers, connection.principal.userId, connection);
  }

  /** Counts one more subscription of the user. Throws SUBSCRIPTION_LIMIT. */
  reserve(userId: string): void {
    const count = this.#perUser.get(userId) ?? 0;
    if (count >= this.#userSubscriptionsMax) throw kalamError('SUBSCRIPTION_LIMIT');
    this.#perUser.set(userId, count + 1);
    this.#count += 1;
    this.#peak = Math.max(this.#peak, this.#count);
  }

  /** A subscription that was counted. */
  add(subscription: Subscription): void {
    const { tableId } = subscription.group.partition;
    let found = this.#onTables.get(tableId);
    if (found === undefined) {
      found = new Set();
      this.#onTables.set(tableId, found);
    }
    found.add(subscription);
  }

  /** Forgets a subscription and that it was counted. */
  remove(subscription: Subscription): void {
    const { userId } = subscription.host.principal;
    const { tableId } = subscription.group.partition;
    const count = this.#perUser.get(userId) ?? 0;
    this.#count -= 1;
    if (count > 1) this.#perUser.set(userId, count - 1);
    else this.#perUser.delete(userId);
    const found = this.#onTables.get(tableId);
    found?.delete(subscription);
    if (found?.size === 0) this.#onTables.delete(tableId);
  }

  /** Every connection. */
  *connections(): Generator<LiveConnection, void> {
    for (const held of this.#connections.values()) yield* eachOf(held);
  }

  /** Every subscription. */
  *subscriptions(): Generator<Subscription, void> {
    for (const connection of this.connections()) yield* connection.subscriptions();
  }

  /** The subscriptions of that live id, `<user>-<connection>-<subscription>`; each of the three may have hyphens of its own. */
  *named(liveId: string): Generator<Subscription, void> {
    for (let at = liveId.indexOf('-'); at >= 0; at = liveId.indexOf('-', at + 1)) {
      for (const connection of eachOf(this.#connections.get(liveId.slice(0, at)))) {
        const subscription = connection.subscription(liveId.slice(at + 1));
        if (subscription !== undefined) yield subscription;
      }
    }
  }

  /** The subscriptions of a user. */
  ofUser(userId: string): readonly Subscription[] {
    return [...eachOf(this.#ofUsers.get(userId))].flatMap((connection) => connection.subscriptions());
  }

  /** Takes out the subscriptions on a table: whoever takes them adds those again that stay. */
  takeTable(tableId: number): Set<Subscription> {
    const taken = this.#onTables.get(tableId) ?? new Set();
    this.#onTables.delete(tableId);
    return taken;
  }
}

function remove(connections: Map<string, OneOrMany<LiveConnection>>, key: string, connection: LiveConnection): void {
  const left = withoutOne(connections.get(key), connection);
  if (left === undefined) connections.delete(key);
  else connections.set(key, left);
}

import { kalamError } from '@kalamdb/protocol';
import type { ChangeSet, Principal, RowChange } from '../contract.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import { type ConnectOptions, LiveConnection, type LiveHub } from './connection.ts';
import { LiveCounters } from './counters.ts';
import { nextTurn } from './initial-load.ts';
import type { SubscribeOptions } from './load-mode.ts';
import type { QueryGroup } from './query-group.ts';
import { Router } from './router.ts';
import { type LiveSources, SLICE_ROWS_MAX } from './sources.ts';
import type { Subscription } from './subscription.ts';

/** Subscriptions that one user may hold over all connections, unless set otherwise. */
export const USER_SUBSCRIPTIONS_MAX = 1000;

/** Rows of a commit that are handed to their queries in the turn that publishes it; a larger one follows in slices. */
const DISPATCH_ROWS_MAX = 1000;
/** Milliseconds of one such slice. */
const DISPATCH_SLICE_MILLIS = 3;

/** Bounds that the configuration sets. */
export interface LiveLimits {
  readonly userSubscriptionsMax?: number | undefined;
}

/** A row of `system.live`. */
export interface LiveQueryInfo {
  /** `<user>-<connection>-<subscription>` */
  readonly liveId: string;
  readonly connectionId: string;
  readonly subscriptionId: string;
  readonly namespace: string;
  readonly table: string;
  readonly userId: string;
  readonly query: string;
  readonly options: SubscribeOptions | undefined;
  /** `loading`: batches are outstanding. `behind`: it catches up, or its connection is paused. */
  readonly state: 'loading' | 'behind' | 'live';
  readonly createdAtMillis: number;
  /** Time of the last change frame; of the creation before the first. */
  readonly lastUpdateMillis: number;
  /** Change frames delivered. */
  readonly changes: number;
}

/**
 * The live queries of a database. It reads ChangeSets as they pass the watermark and hands each to the queries that it can
 * concern. States, transitions and invariants: SPEC.md beside this file.
 */
export class Live implements LiveHub {
  readonly sources: LiveSources;
  readonly router: Router = new Router();
  readonly counters: LiveCounters = new LiveCounters();
  readonly #userSubscriptionsMax: number;
  readonly #connections = new Set<LiveConnection>();
  readonly #perUser = new Map<string, number>();
  #subscriptions = 0;
  #subscriptionPeak = 0;
  readonly #stopObserving: () => void;
  #dispatchedSeq: bigint;
  /** A large commit, and what has come after it, is handed on in slices. */
  #dispatching = false;
  /** Subscriptions whose tables were altered, in the order in which they are bound anew. */
  readonly #detached = new Set<Subscription>();
  #rebinding = false;
  #closed = false;

  constructor(sources: LiveSources, limits: LiveLimits = {}) {
    this.sources = sources;
    this.#userSubscriptionsMax = limits.userSubscriptionsMax ?? USER_SUBSCRIPTIONS_MAX;
    this.#dispatchedSeq = sources.commits.watermark;
    this.#stopObserving = sources.commits.observe((change) => this.#dispatch(change));
  }

  get dispatchedSeq(): bigint {
    return this.#dispatchedSeq;
  }

  /** Subscriptions that are open. */
  get subscriptionCount(): number {
    return this.#subscriptions;
  }

  /** The most subscriptions that were open at a time. */
  get subscriptionPeak(): number {
    return this.#subscriptionPeak;
  }

  /** Opens a connection's place among the live queries; its owner closes it. */
  connect(principal: Principal, options: ConnectOptions): LiveConnection {
    const connection = new LiveConnection(this, principal, options);
    this.#connections.add(connection);
    return connection;
  }

  /** Every subscription there is. */
  list(): readonly LiveQueryInfo[] {
    const found: LiveQueryInfo[] = [];
    for (const subscription of this.#all()) {
      const { state, host, group } = subscription;
      if (state === 'ended') continue;
      found.push({
        liveId: subscription.liveId,
        connectionId: host.connectionId,
        subscriptionId: subscription.id,
        namespace: group.plan.table.namespace,
        table: group.plan.table.name,
        userId: host.principal.userId,
        query: subscription.sql,
        options: subscription.options,
        state,
        createdAtMillis: subscription.createdAtMillis,
        lastUpdateMillis: subscription.lastUpdateMillis,
        changes: subscription.changes,
      });
    }
    return found;
  }

  /** KILL LIVE QUERY: ends that subscription and tells its client; `false` when there is none of that id. */
  kill(liveId: string): boolean {
    const found = this.#all().filter((subscription) => subscription.liveId === liveId);
    endAll(found, 'killed');
    return found.length > 0;
  }

  /** Ends every subscription on a table, for example with the reason `table app.t was dropped`. */
  endForTable(tableId: number, reason: string): void {
    endAll(
      this.#all().filter(({ group }) => group.partition.tableId === tableId),
      reason,
    );
  }

  /** Ends every subscription of a user: dropped, locked or given another role. */
  endForUser(userId: string, reason: string): void {
    endAll(
      this.#all().filter(({ host }) => host.principal.userId === userId),
      reason,
    );
  }

  /**
   * A table was altered: its subscriptions go on with its new version, or end when that refuses them. From this turn on nothing is sent
   * to them in the old one; binding many again takes slices.
   */
  rebindTable(tableId: number): void {
    for (const subscription of this.#all()) {
      if (subscription.group.partition.tableId !== tableId) continue;
      subscription.detach();
      this.#detached.add(subscription);
    }
    if (!this.#rebinding) void this.#rebindInSlices();
  }

  /** Stops following commits and closes every connection without a frame. */
  close(): void {
    this.#closed = true;
    this.#stopObserving();
    for (const connection of [...this.#connections]) connection.close();
  }

  reserve(userId: string): void {
    const count = this.#perUser.get(userId) ?? 0;
    if (count >= this.#userSubscriptionsMax) throw kalamError('SUBSCRIPTION_LIMIT');
    this.#perUser.set(userId, count + 1);
    this.#subscriptions += 1;
    this.#subscriptionPeak = Math.max(this.#subscriptionPeak, this.#subscriptions);
  }

  giveBack(userId: string): void {
    const count = this.#perUser.get(userId) ?? 0;
    this.#subscriptions -= 1;
    if (count > 1) this.#perUser.set(userId, count - 1);
    else this.#perUser.delete(userId);
  }

  forget(connection: LiveConnection): void {
    this.#connections.delete(connection);
  }

  #all(): Subscription[] {
    return [...this.#connections].flatMap((connection) => connection.subscriptions());
  }

  /** Hands a commit on at once, unless it is large or one before it is still being handed on. */
  #dispatch(change: ChangeSet): void {
    if (this.#dispatching) return;
    if (this.#concerns(change) > DISPATCH_ROWS_MAX) {
      this.#dispatching = true;
      void this.#dispatchInSlices();
      return;
    }
    for (const { partition, rows } of change.parts) {
      const routes = this.router.routes(partition);
      if (routes === undefined) continue;
      for (const row of rows) routes.visit(row, pushToGroup);
    }
    this.#dispatchedSeq = change.seq;
  }

  /** Rows of the commit that somebody listens to. */
  #concerns({ parts }: ChangeSet): number {
    let count = 0;
    for (const { partition, rows } of parts) if (this.router.routes(partition) !== undefined) count += rows.length;
    return count;
  }

  /** Hands on what the tail holds, in order and a slice at a time, until nothing is left; what has fallen out of it is caught up with. */
  async #dispatchInSlices(): Promise<void> {
    const { commits, timers } = this.sources;
    while (!this.#closed) {
      const changes = commits.tail(this.#dispatchedSeq);
      if (changes === undefined) this.#fallBehind();
      else if (changes.length === 0) break;
      const steps = this.#dispatchSteps(changes ?? []);
      while (!this.#closed && !this.#slice(steps)) await nextTurn(timers);
    }
    this.#dispatching = false;
  }

  async #rebindInSlices(): Promise<void> {
    this.#rebinding = true;
    const steps = this.#rebindSteps();
    while (!this.#closed && !this.#slice(steps)) await nextTurn(this.sources.timers);
    this.#rebinding = false;
  }

  *#rebindSteps(): Steps<void> {
    // Grows while it is walked, when another table is altered.
    for (const subscription of this.#detached) {
      this.#detached.delete(subscription);
      subscription.host.rebind(subscription);
      yield;
    }
  }

  *#dispatchSteps(changes: readonly ChangeSet[]): Steps<void> {
    for (const { parts, seq } of changes) {
      let left = STEP_ROWS;
      for (const { partition, rows } of parts) {
        for (const row of rows) {
          this.router.routes(partition)?.visit(row, pushToGroup);
          if (--left > 0) continue;
          left = STEP_ROWS;
          yield;
        }
      }
      this.#dispatchedSeq = seq;
      yield;
    }
  }

  /** Whether the steps are done after this slice. */
  #slice(steps: Steps<void>): boolean {
    const { clock, sliceRowsMax = SLICE_ROWS_MAX } = this.sources;
    const end = clock.elapsed() + DISPATCH_SLICE_MILLIS;
    for (let rows = 0; rows < sliceRowsMax && clock.elapsed() < end; rows += STEP_ROWS) if (steps.next().done === true) return true;
    return false;
  }

  /** The tail does not reach back to what was handed on: whoever is live reads what it lacks itself. */
  #fallBehind(): void {
    const subscriptions = this.#all();
    for (const subscription of subscriptions) subscription.fallBehind();
    this.#dispatchedSeq = this.sources.commits.watermark;
    for (const subscription of subscriptions) subscription.wake();
  }
}

/** Evaluates and encodes once and pushes to each member; what cannot be evaluated or encoded ends them. */
function pushToGroup(group: QueryGroup, row: RowChange): void {
  // Handed on late, and in the form of an older version of the table: whoever joined since has read it.
  if (row.seq <= group.sinceSeq) return;
  try {
    const body = group.bodyOf(row);
    if (body === undefined) return;
    for (const member of group.members) member.push(row.seq, body);
  } catch (error) {
    for (const member of [...group.members]) member.fail(error);
  }
}

function endAll(subscriptions: readonly Subscription[], reason: string): void {
  for (const subscription of subscriptions) subscription.fail(kalamError('SUBSCRIPTION_ENDED', { reason }));
}

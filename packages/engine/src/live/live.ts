import { kalamError } from '@kalamdb/protocol';
import type { Principal } from '../contract.ts';
import type { Steps } from '../slices/steps.ts';
import { CommitEndings } from './commit-endings.ts';
import { type ConnectOptions, LiveConnection, type LiveHub } from './connection.ts';
import { LiveCounters } from './counters.ts';
import { Dispatch } from './dispatch.ts';
import { type ExplainedLive, type ExplainedRow, explainedLive, explainedRow } from './explained-live.ts';
import { LiveDirectory } from './live-directory.ts';
import type { SubscribeOptions } from './load-mode.ts';
import { Router } from './router.ts';
import type { LiveSources } from './sources.ts';
import type { Subscription } from './subscription.ts';
import { WindowBudget } from './window/window-bounds.ts';
import { Windows } from './window/windows.ts';

/** Subscriptions that one user may hold over all connections, unless set otherwise. */
export const USER_SUBSCRIPTIONS_MAX = 1000;

/** Milliseconds for which one turn binds subscriptions anew, ends them, or has them catch up. */
const SLICE_MILLIS = 3;

/** Bounds that the configuration sets. */
export interface LiveLimits {
  readonly userSubscriptionsMax?: number | undefined;
  /** Approximate heap weight of the rows of all windows. */
  readonly windowsBytesMax?: number | undefined;
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
  /** Rows delivered, in batches and changes. */
  readonly rowsDelivered: number;
  /** Rows of its window; `undefined`: its query has no LIMIT. */
  readonly limit: number | undefined;
  /** Every change at or below it was told to the client, or means nothing to it; `undefined` while it loads. */
  readonly toldSeq: bigint | undefined;
  /** Bytes that wait for the client, of all its subscriptions. */
  readonly bytesQueued: number;
}

/**
 * The live queries of a database. It reads ChangeSets as they pass the watermark and hands each to the queries that it can
 * concern. States, transitions and invariants: SPEC.md beside this file.
 */
export class Live implements LiveHub {
  readonly sources: LiveSources;
  readonly router: Router = new Router();
  readonly counters: LiveCounters = new LiveCounters();
  readonly endings: CommitEndings = new CommitEndings();
  readonly windowBudget: WindowBudget;
  readonly windows: Windows;
  readonly #directory: LiveDirectory;
  readonly #dispatch: Dispatch;
  readonly #stopObserving: () => void;
  /** Tables whose subscriptions are bound anew, or ended. */
  readonly #upheavals = new Set<Upheaval>();
  #settling = false;
  #closed = false;

  constructor(sources: LiveSources, limits: LiveLimits = {}) {
    this.sources = sources;
    this.#directory = new LiveDirectory(limits.userSubscriptionsMax ?? USER_SUBSCRIPTIONS_MAX);
    this.windowBudget = new WindowBudget(limits.windowsBytesMax);
    const { router, counters, endings, windowBudget: budget } = this;
    this.windows = new Windows({ sources, router, counters, endings, budget });
    this.#dispatch = new Dispatch({ sources, router, endings, missed: (goOn) => this.#miss(goOn) });
    this.#stopObserving = sources.commits.observe((change) => this.#dispatch.handOn(change));
  }

  get dispatchedSeq(): bigint {
    return this.#dispatch.seq;
  }

  /** Subscriptions that are open. */
  get subscriptionCount(): number {
    return this.#directory.count;
  }

  /** The most subscriptions that were open at a time. */
  get subscriptionPeak(): number {
    return this.#directory.peak;
  }

  /** Opens a connection's place among the live queries; its owner closes it. */
  connect(principal: Principal, options: ConnectOptions): LiveConnection {
    const connection = new LiveConnection(this, principal, options);
    this.#directory.addConnection(connection);
    return connection;
  }

  /** Every subscription there is. */
  list(): readonly LiveQueryInfo[] {
    const found: LiveQueryInfo[] = [];
    for (const subscription of this.#directory.subscriptions()) {
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
        rowsDelivered: subscription.rowsDelivered,
        limit: this.windows.of(group)?.bounds.limit,
        toldSeq: subscription.toldSeq,
        bytesQueued: host.bytesQueued,
      });
    }
    return found;
  }

  /** KILL LIVE QUERY: ends that subscription and tells its client; `false` when there is none of that id. */
  kill(liveId: string): boolean {
    const found = [...this.#directory.named(liveId)];
    endAll(found, 'killed');
    return found.length > 0;
  }

  /** How a query would be served, windows included. Throws the errors of wire-protocol 4.5 and 4.8. */
  explain(sql: string, principal: Principal): ExplainedLive {
    return explainedLive(this, { principal, sql, windows: true });
  }

  /**
   * What a running subscription makes of the row with this key, which is given as literals of SQL, one for each key column. Rejects with
   * LIVE_QUERY_NOT_FOUND, INVALID_INPUT and what reading the row rejects with.
   */
  async explainRow(liveId: string, key: readonly string[]): Promise<ExplainedRow> {
    for (const subscription of this.#directory.named(liveId)) return explainedRow(subscription, key);
    throw kalamError('LIVE_QUERY_NOT_FOUND', { id: liveId });
  }

  /**
   * Ends every subscription on a table, for example with the reason `table app.t was dropped`. From this turn on nothing is sent to them
   * but that; telling many takes slices.
   */
  endForTable(tableId: number, reason: string): void {
    for (const upheaval of this.#upheavals) if (upheaval.tableId === tableId) upheaval.reason = reason;
    this.#upset(tableId, reason);
  }

  /** Ends every subscription of a user, of whom there are a bounded number: dropped, locked or given another role. */
  endForUser(userId: string, reason: string): void {
    endAll(this.#directory.ofUser(userId), reason);
  }

  /**
   * A table was altered: its subscriptions go on with its new version, or end when that refuses them. From this turn on nothing is sent
   * to them in the old one; binding many again takes slices.
   */
  rebindTable(tableId: number): void {
    this.#upset(tableId, undefined);
  }

  /** Stops following commits and closes every connection without a frame. */
  close(): void {
    this.#closed = true;
    this.#stopObserving();
    this.#dispatch.close();
    for (const connection of [...this.#directory.connections()]) connection.close();
  }

  reserve(userId: string): void {
    this.#directory.reserve(userId);
  }

  add(subscription: Subscription): void {
    this.#directory.add(subscription);
  }

  remove(subscription: Subscription): void {
    this.#directory.remove(subscription);
  }

  forget(connection: LiveConnection): void {
    this.#directory.removeConnection(connection);
  }

  #upset(tableId: number, reason: string | undefined): void {
    this.router.retire(tableId, this.#dispatch.seq);
    const subscriptions = this.#directory.takeTable(tableId);
    if (subscriptions.size === 0) return;
    this.#upheavals.add({ tableId, reason, subscriptions });
    if (this.#settling) return;
    this.#settling = true;
    this.#goOn(this.#settlingSteps());
  }

  /** Goes on in this turn for as long as a slice may take, and then behind what else has arrived. */
  #goOn(steps: Steps<void>): void {
    const { clock, timers } = this.sources;
    const end = clock.elapsed() + SLICE_MILLIS;
    while (!this.#closed && steps.next().done !== true) {
      if (clock.elapsed() < end) continue;
      timers.soon(() => this.#goOn(steps));
      return;
    }
  }

  *#settlingSteps(): Steps<void> {
    // Grows while it is walked, when another table is altered.
    for (const upheaval of this.#upheavals) {
      for (const subscription of upheaval.subscriptions) {
        if (subscription.state !== 'ended') this.#settleOne(subscription, upheaval);
        yield;
      }
      this.#upheavals.delete(upheaval);
    }
    this.#settling = false;
  }

  #settleOne(subscription: Subscription, { reason }: Upheaval): void {
    subscription.detach();
    if (reason === undefined) subscription.host.rebind(subscription);
    else subscription.fail(kalamError('SUBSCRIPTION_ENDED', { reason }));
    if (subscription.state !== 'ended') this.#directory.add(subscription);
  }

  /** Some commits are not handed on: whoever is live reads what it lacks itself. */
  #miss(goOn: () => void): void {
    const subscriptions = [...this.#directory.subscriptions()];
    this.endings.forget();
    for (const subscription of subscriptions) subscription.miss();
    goOn();
    this.#goOn(waking(subscriptions));
  }
}

/** A table whose subscriptions cannot stay as they are. */
interface Upheaval {
  readonly tableId: number;
  /** Why they end; `undefined`: they are bound anew. */
  reason: string | undefined;
  readonly subscriptions: ReadonlySet<Subscription>;
}

function* waking(subscriptions: readonly Subscription[]): Steps<void> {
  for (const subscription of subscriptions) {
    subscription.wake();
    yield;
  }
}

function endAll(subscriptions: readonly Subscription[], reason: string): void {
  for (const subscription of subscriptions) subscription.fail(kalamError('SUBSCRIPTION_ENDED', { reason }));
}

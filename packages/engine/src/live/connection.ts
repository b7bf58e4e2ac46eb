import { KalamError, kalamError } from '@kalamdb/protocol';
import type { Principal } from '../contract.ts';
import type { LiveCounters } from './counters.ts';
import { FilterContext } from './filter-context.ts';
import type { LiveSink } from './frame.ts';
import { loadMode, type SubscribeOptions } from './load-mode.ts';
import { QueryGroup } from './query-group.ts';
import { asDenial, asSubscribeError } from './refusal.ts';
import type { Router } from './router.ts';
import type { LiveSources } from './sources.ts';
import { Subscription, type SubscriptionHost } from './subscription.ts';

/** Subscriptions that one connection may hold, unless set otherwise. */
export const CONNECTION_SUBSCRIPTIONS_MAX = 100;

/** A subscribe message. */
export interface SubscribeRequest {
  /** The client's name for it, which every frame carries. Used again, it replaces the earlier subscription silently. */
  readonly id: string;
  readonly sql: string;
  /** `undefined`: `null` or absent on the wire. */
  readonly options: SubscribeOptions | undefined;
}

/** What the subscriptions of all connections share. */
export interface LiveHub {
  readonly sources: LiveSources;
  readonly router: Router;
  readonly counters: LiveCounters;
  /** Every row at or below it has been pushed to live subscriptions. */
  readonly dispatchedSeq: bigint;
  /** Counts one more subscription of the user. Throws SUBSCRIPTION_LIMIT. */
  reserve(userId: string): void;
  /** Gives back what `reserve` counted. */
  giveBack(userId: string): void;
  /** Forgets a closed connection. */
  forget(connection: LiveConnection): void;
}

/** Whose connection it is and where its frames go. */
export interface ConnectOptions {
  /** Unique among open connections. */
  readonly connectionId: string;
  readonly sink: LiveSink;
  /** Default {@link CONNECTION_SUBSCRIPTIONS_MAX}. */
  readonly subscriptionsMax?: number | undefined;
}

/** The live queries of one connection. Whoever opens one closes it. */
export class LiveConnection implements SubscriptionHost {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly sink: LiveSink;
  readonly #hub: LiveHub;
  readonly #subscriptionsMax: number;
  readonly #subscriptions = new Map<string, Subscription>();
  #flow: 'flowing' | 'paused' | 'closed' = 'flowing';
  #flowWaiters: (() => void)[] = [];

  constructor(hub: LiveHub, principal: Principal, { connectionId, sink, subscriptionsMax }: ConnectOptions) {
    this.#hub = hub;
    this.principal = principal;
    this.connectionId = connectionId;
    this.sink = sink;
    this.#subscriptionsMax = subscriptionsMax ?? CONNECTION_SUBSCRIPTIONS_MAX;
  }

  get sources(): LiveSources {
    return this.#hub.sources;
  }

  get router(): Router {
    return this.#hub.router;
  }

  get counters(): LiveCounters {
    return this.#hub.counters;
  }

  get dispatchedSeq(): bigint {
    return this.#hub.dispatchedSeq;
  }

  get paused(): boolean {
    return this.#flow !== 'flowing';
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** The subscriptions that exist now. */
  subscriptions(): readonly Subscription[] {
    return [...this.#subscriptions.values()];
  }

  /**
   * Delivers the acknowledgement and, unless `options` are undefined, the first batch; then changes follow. Rejects with the
   * errors of wire-protocol 4.8; an earlier subscription of that id stays then, unless it was the load that failed.
   */
  async subscribe(request: SubscribeRequest): Promise<void> {
    if (this.#flow === 'closed') return;
    const subscription = this.#register(request);
    try {
      await subscription.start();
    } catch (error) {
      throw asSubscribeError(error);
    }
  }

  /** Delivers the next batch after `lastSeq` (`undefined`: from the beginning). Rejects with BATCH_* errors. */
  async nextBatch(id: string, lastSeq: bigint | undefined): Promise<void> {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) throw kalamError('BATCH_SUBSCRIPTION_UNKNOWN', { id });
    try {
      await subscription.nextBatch(lastSeq);
    } catch (error) {
      throw asSubscribeError(error);
    }
  }

  /** Ends a subscription without a frame; an unknown id is ignored. */
  unsubscribe(id: string): void {
    this.#subscriptions.get(id)?.end();
  }

  /**
   * Delivers a `progress` frame to each subscription that is live and past which commits have gone that it was sent nothing
   * of: its client may resume from there.
   */
  progress(): void {
    for (const subscription of this.#subscriptions.values()) subscription.progress();
  }

  rebind(subscription: Subscription): void {
    if (subscription.state === 'ended') return;
    const { namespace, name } = subscription.group.plan.table;
    try {
      subscription.attach(this.#acquireGroup(subscription.sql));
    } catch (error) {
      const denied = error instanceof KalamError && error.code === 'SUBSCRIBE_DENIED';
      const table = `${namespace}.${name}`;
      const reason = denied ? `access to table ${table} was withdrawn` : `table ${table} was altered and the query no longer fits it`;
      subscription.fail(kalamError('SUBSCRIPTION_ENDED', { reason }, { cause: error }));
    }
  }

  /** Stops pushes: from now on subscriptions keep their cursor. May be called by the sink within `deliver`. */
  pause(): void {
    if (this.#flow !== 'flowing') return;
    this.#flow = 'paused';
    for (const subscription of this.#subscriptions.values()) subscription.fallBehind();
  }

  /** Lets pushes flow again: subscriptions catch up and go on. */
  resume(): void {
    if (this.#flow !== 'paused') return;
    this.#flow = 'flowing';
    this.#wakeFlowWaiters();
    // What catches up first may fill the connection again; the others then stay where they are.
    for (const subscription of this.subscriptions()) subscription.wake();
  }

  /** Ends everything, synchronously and without a frame. Closing twice is harmless. */
  close(): void {
    if (this.#flow === 'closed') return;
    this.#flow = 'closed';
    for (const subscription of this.subscriptions()) subscription.end();
    this.#hub.forget(this);
    this.#wakeFlowWaiters();
  }

  async flowing(): Promise<void> {
    while (this.#flow === 'paused') {
      await new Promise<void>((resolve) => {
        this.#flowWaiters.push(resolve);
      });
    }
  }

  forget(subscription: Subscription): void {
    if (this.#subscriptions.get(subscription.id) === subscription) this.#subscriptions.delete(subscription.id);
    this.#hub.giveBack(this.principal.userId);
  }

  /** Checks a request, and puts its subscription in the place of an earlier one of that id, in one turn. */
  #register(request: SubscribeRequest): Subscription {
    const { id, sql, options } = request;
    if (id.trim() === '') throw kalamError('INVALID_SUBSCRIPTION_ID');
    const mode = loadMode(options);
    const group = this.#acquireGroup(sql);
    try {
      if (group.plan.table.kind === 'system' && mode.kind !== 'none') {
        throw kalamError('SUBSCRIPTION_FAILED', { reason: 'system tables have no initial data; subscribe with options null' });
      }
      if (mode.kind === 'resume') this.#checkResume(group, mode.from);
      this.#makeRoom(id);
    } catch (error) {
      this.#hub.router.release(group);
      throw error;
    }
    const subscription = new Subscription(this, { id, sql, options, mode, group });
    this.#subscriptions.set(id, subscription);
    return subscription;
  }

  #acquireGroup(sql: string): QueryGroup {
    const { sources, router, counters } = this.#hub;
    const plan = tryOr(() => sources.bind(sql), asSubscribeError);
    const { partition, maskedCells } = tryOr(() => sources.grant(this.principal, plan.table), asDenial);
    const caller = plan.mentionsUser ? [this.principal.userId, this.principal.role] : [];
    const name = JSON.stringify([partition.tableId, plan.table.version, partition.owner, plan.shape, maskedCells, ...caller]);
    return router.acquire(name, () => {
      const context = new FilterContext(sources.context(this.principal), sources.clock);
      return new QueryGroup({ name, plan, partition, sinceSeq: sources.sinceSeq(plan.table), maskedCells, context, counters });
    });
  }

  /** Refuses a cursor that the partition cannot serve. */
  #checkResume({ plan, partition }: QueryGroup, from: bigint): void {
    const { counters } = this.#hub;
    counters.resumes += 1;
    const reason = this.#reasonToBeginAnew({ plan, partition }, from);
    if (reason === undefined) return;
    counters.resyncs += 1;
    throw kalamError('RESYNC_REQUIRED', { reason });
  }

  #reasonToBeginAnew({ plan, partition }: Pick<QueryGroup, 'plan' | 'partition'>, from: bigint): string | undefined {
    const { sources } = this.#hub;
    if (from > sources.commits.watermark) return `${from} is ahead of this database`;
    if (sources.isLost(from)) return `${from} lies among commits that were lost when the server failed or a backup was restored`;
    if (from < sources.restoredSeq(plan.table)) return `the table was restored from a backup after ${from}`;
    if (plan.table.kind === 'stream' && sources.commits.tail(from) !== undefined) return undefined;
    return from >= sources.horizon(plan.table, partition) ? undefined : `changes after ${from} have expired`;
  }

  /** Ends the subscription that is replaced, or counts one more. */
  #makeRoom(id: string): void {
    const earlier = this.#subscriptions.get(id);
    if (earlier === undefined && this.#subscriptions.size >= this.#subscriptionsMax) {
      throw kalamError('CONNECTION_SUBSCRIPTION_LIMIT', { max: this.#subscriptionsMax });
    }
    earlier?.end();
    this.#hub.reserve(this.principal.userId);
  }

  #wakeFlowWaiters(): void {
    const waiters = this.#flowWaiters;
    this.#flowWaiters = [];
    for (const wake of waiters) wake();
  }
}

function tryOr<T>(work: () => T, asError: (error: unknown) => Error): T {
  try {
    return work();
  } catch (error) {
    throw asError(error);
  }
}

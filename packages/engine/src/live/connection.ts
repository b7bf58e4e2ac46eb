import { KalamError, kalamError } from '@kalamdb/protocol';
import type { Principal } from '../contract.ts';
import { acquireGroup } from './acquire-group.ts';
import type { CommitEndings } from './commit-endings.ts';
import type { LiveCounters } from './counters.ts';
import type { LiveSink } from './frame.ts';
import { type LoadMode, loadMode, type SubscribeOptions } from './load-mode.ts';
import type { QueryGroup } from './query-group.ts';
import { asSubscribeError, tryOr } from './refusal.ts';
import type { Router } from './router.ts';
import { RowSubscription } from './row-subscription.ts';
import type { LiveSources } from './sources.ts';
import type { Subscription, SubscriptionHost } from './subscription.ts';
import { WindowSubscription } from './window/window-subscription.ts';
import type { Windows } from './window/windows.ts';

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
  readonly endings: CommitEndings;
  readonly windows: Windows;
  /** Every row at or below it has been pushed to live subscriptions. */
  readonly dispatchedSeq: bigint;
  /** Counts one more subscription of the user. Throws SUBSCRIPTION_LIMIT. */
  reserve(userId: string): void;
  /** A subscription that was counted. */
  add(subscription: Subscription): void;
  /** Forgets a subscription and gives back what `reserve` counted. */
  remove(subscription: Subscription): void;
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
  /** Queries may have ORDER BY and LIMIT. */
  readonly takesWindows?: boolean | undefined;
  /** The client is told where commits end. */
  readonly tellsEndings?: boolean | undefined;
  /** Bytes that wait for the client; absent: none ever do. */
  readonly bytesQueued?: (() => number) | undefined;
}

/** The live queries of one connection. Whoever opens one closes it. */
export class LiveConnection implements SubscriptionHost {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly sink: LiveSink;
  readonly tellsEndings: boolean;
  readonly #takesWindows: boolean;
  readonly #bytesQueued: (() => number) | undefined;
  readonly #hub: LiveHub;
  readonly #subscriptionsMax: number;
  readonly #subscriptions = new Map<string, Subscription>();
  #flow: 'flowing' | 'paused' | 'closed' = 'flowing';
  #flowWaiters: (() => void)[] = [];

  constructor(hub: LiveHub, principal: Principal, { connectionId, sink, subscriptionsMax, bytesQueued, ...extensions }: ConnectOptions) {
    this.#hub = hub;
    this.principal = principal;
    this.connectionId = connectionId;
    this.sink = sink;
    this.tellsEndings = extensions.tellsEndings ?? false;
    this.#takesWindows = extensions.takesWindows ?? false;
    this.#bytesQueued = bytesQueued;
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

  get endings(): CommitEndings {
    return this.#hub.endings;
  }

  get windows(): Windows {
    return this.#hub.windows;
  }

  get dispatchedSeq(): bigint {
    return this.#hub.dispatchedSeq;
  }

  get bytesQueued(): number {
    return this.#bytesQueued?.() ?? 0;
  }

  get paused(): boolean {
    return this.#flow !== 'flowing';
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** User and connection, as live ids begin with them. */
  get name(): string {
    return `${this.principal.userId}-${this.connectionId}`;
  }

  /** The subscription of that id. */
  subscription(id: string): Subscription | undefined {
    return this.#subscriptions.get(id);
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
    const atLeast = request.options?.atLeast;
    if (atLeast !== undefined) await this.sources.reached(atLeast);
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
    this.#hub.remove(subscription);
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
      if (tryOr(() => this.windows.of(group), asSubscribeError) !== undefined) refuseForWindow(mode);
      else if (mode.kind === 'resume') this.#checkResume(group, mode.from);
      this.#makeRoom(id);
    } catch (error) {
      this.#hub.router.release(group);
      throw error;
    }
    const Kind = this.windows.of(group) === undefined ? RowSubscription : WindowSubscription;
    const subscription = new Kind(this, { id, sql, options, mode, group });
    this.#subscriptions.set(id, subscription);
    this.#hub.add(subscription);
    return subscription;
  }

  #acquireGroup(sql: string): QueryGroup {
    return acquireGroup(this.#hub, { principal: this.principal, sql, windows: this.#takesWindows });
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
    if (plan.table.kind === 'stream' && sources.commits.tail(from, 0) !== undefined) return undefined;
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

/** A window is sent whole, whatever its client has, and neither less than whole nor not at all. */
function refuseForWindow({ kind }: LoadMode): void {
  if (kind === 'last') throw kalamError('SUBSCRIBE_UNSUPPORTED', { reason: 'a query with a LIMIT has no last_rows' });
  if (kind === 'none')
    throw kalamError('SUBSCRIBE_UNSUPPORTED', { reason: 'a query with a LIMIT has initial data; subscribe with options {}' });
}

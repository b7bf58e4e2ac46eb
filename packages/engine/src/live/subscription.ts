import type { Principal, RowVersion } from '../contract.ts';
import type { CommitEndings } from './commit-endings.ts';
import type { LiveCounters } from './counters.ts';
import type { BatchControl, LiveSink, SharedBody } from './frame.ts';
import type { LoadMode, SubscribeOptions } from './load-mode.ts';
import type { QueryGroup } from './query-group.ts';
import { endingOf } from './refusal.ts';
import type { Router } from './router.ts';
import type { LiveSources } from './sources.ts';
import type { Windows } from './window/windows.ts';

/** What a subscription needs of the connection it belongs to. */
export interface SubscriptionHost {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly sink: LiveSink;
  readonly sources: LiveSources;
  readonly router: Router;
  readonly counters: LiveCounters;
  readonly endings: CommitEndings;
  readonly windows: Windows;
  /** Whether its client is told where commits end. */
  readonly tellsEndings: boolean;
  /** Bytes that wait for its client. */
  readonly bytesQueued: number;
  /** Whether the connection takes no pushes now. */
  readonly paused: boolean;
  /** Every row at or below it has been pushed to live subscriptions. */
  readonly dispatchedSeq: bigint;
  /** Resolves when the connection takes pushes again, or is closed. */
  flowing(): Promise<void>;
  /** Binds the subscription anew; what the new version of its table refuses ends with SUBSCRIPTION_ENDED. */
  rebind(subscription: Subscription): void;
  /** Forgets the subscription; called at most once for each, by {@link Subscription.end}. */
  forget(subscription: Subscription): void;
}

/** What a client asked for, checked and bound. */
export interface SubscriptionRequest {
  readonly id: string;
  readonly sql: string;
  readonly options: SubscribeOptions | undefined;
  readonly mode: LoadMode;
  readonly group: QueryGroup;
}

/** Where a subscription is between its beginning and its end; SPEC.md draws the states. */
export type SubscriptionState = 'loading' | 'behind' | 'live' | 'ended';

/**
 * Why a client does not have a row of its query: it was written before a subscription that did not ask for it (`last_rows`, `from`, `options`
 * null), or lies outside the window.
 */
export type Withholding = 'BEFORE_SUBSCRIPTION' | 'OUTSIDE_WINDOW';

/**
 * One live query of one connection. Nothing is ever queued for it: when it cannot be pushed to (it loads, or its connection is paused) it
 * remembers how far its client is and catches up later. How that goes is its kind's: single rows, or a window.
 */
export abstract class Subscription {
  readonly id: string;
  readonly sql: string;
  readonly options: SubscribeOptions | undefined;
  readonly host: SubscriptionHost;
  readonly createdAtMillis: number;
  /** Change frames delivered. */
  changes = 0;
  /** Rows delivered, in batches and changes. */
  rowsDelivered = 0;
  #lastUpdateMillis: number | undefined;
  #group: QueryGroup;
  #attachedWaiters: (() => void)[] | undefined;

  constructor(host: SubscriptionHost, { id, sql, options, group }: SubscriptionRequest) {
    this.id = id;
    this.sql = sql;
    this.options = options;
    this.host = host;
    this.#group = group;
    this.createdAtMillis = host.sources.clock.now();
  }

  abstract get state(): SubscriptionState;

  get group(): QueryGroup {
    return this.#group;
  }

  /** Time of the last change frame; of the creation before the first. */
  get lastUpdateMillis(): number {
    return this.#lastUpdateMillis ?? this.createdAtMillis;
  }

  get liveId(): string {
    return `${this.host.principal.userId}-${this.host.connectionId}-${this.id}`;
  }

  /**
   * Acknowledges and loads the first batch. Rejects when that fails; the subscription is then ended. Resolves without a
   * frame when it was ended meanwhile.
   */
  abstract start(): Promise<void>;

  /**
   * Sends the next batch, after `lastSeq` or from the beginning. Past the load it waits until catch-up is done, so that its batch says
   * that everything before it has been told. Throws the BATCH_* errors; a load that fails ends the subscription.
   */
  abstract nextBatch(lastSeq: bigint | undefined): Promise<void>;

  /** The connection takes no pushes any more: from live to behind. */
  abstract fallBehind(): void;

  /** Some commits are not handed on: what they mean has to be read. */
  abstract miss(): void;

  /** Starts catching up if it is behind and nothing hinders it. */
  abstract wake(): void;

  /** Tells a client that is right where it stands, if that has moved since it was last told or sent something. */
  abstract progress(): void;

  /** Every change at or below it was told to the client, or means nothing to it; `undefined` while it loads. */
  abstract get toldSeq(): bigint | undefined;

  /** Why a row of the query that the client was told about, as far as `toldSeq` goes, is not with it; `undefined`: it is. */
  abstract withheld(row: RowVersion): Withholding | undefined;

  /** Stops whatever it does; it is `ended` then. Called once. */
  protected abstract leave(): void;

  /** Its group was retired: it lets go of it and keeps what it knows of its client until {@link attach}. */
  detach(): void {
    this.fallBehind();
  }

  /** Goes on with another group, whose use it takes over: the same query on the new version of its table. It must not have ended. */
  attach(group: QueryGroup): void {
    this.host.router.release(this.#group);
    this.#group = group;
    this.#wakeAttached();
    this.wake();
  }

  fail(error: unknown): void {
    if (this.state === 'ended') return;
    const { code, message } = endingOf(error, this.host.principal);
    this.end();
    this.host.sink.deliver({ kind: 'error', subscriptionId: this.id, code, message });
  }

  /** Leaves everything, synchronously and without a frame. */
  end(): void {
    if (this.state === 'ended') return;
    this.leave();
    this.host.router.release(this.#group);
    this.host.forget(this);
    this.#wakeAttached();
  }

  /** Its table was altered, or is gone: until it is bound anew nothing is read or sent. */
  protected get detached(): boolean {
    return this.#group.retiredSeq !== undefined;
  }

  /** Resolves when it is bound anew, or ended. */
  protected attached(): Promise<void> {
    if (!this.detached || this.state === 'ended') return Promise.resolve();
    return new Promise((resolve) => {
      this.#attachedWaiters ??= [];
      this.#attachedWaiters.push(resolve);
    });
  }

  protected deliverBatch(control: BatchControl, rows: readonly string[], more: boolean): void {
    this.rowsDelivered += rows.length;
    this.host.sink.deliver({ kind: 'batch', subscriptionId: this.id, control, rows, more });
  }

  /** `more`: its client is not at the end of a commit after this. */
  protected deliverChange(body: SharedBody, more: boolean): void {
    this.changes += 1;
    this.rowsDelivered += 1;
    this.#lastUpdateMillis = body.atMillis;
    this.host.counters.frames += 1;
    this.host.sink.deliver({ kind: 'change', subscriptionId: this.id, body, more: more && this.host.tellsEndings });
  }

  #wakeAttached(): void {
    const waiters = this.#attachedWaiters;
    this.#attachedWaiters = undefined;
    for (const wake of waiters ?? []) wake();
  }
}

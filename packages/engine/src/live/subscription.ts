import { kalamError } from '@kalamdb/protocol';
import type { Principal } from '../contract.ts';
import { catchUp, type Straggler } from './catch-up.ts';
import type { LiveCounters } from './counters.ts';
import { batchControl, type LiveSink, type SharedBody } from './frame.ts';
import { type Cursor, type LoadedBatch, loadLastRows, loadPage } from './initial-load.ts';
import type { LoadMode, SubscribeOptions } from './load-mode.ts';
import type { GroupMember, QueryGroup } from './query-group.ts';
import { endingOf } from './refusal.ts';
import type { Router } from './router.ts';
import type { LiveSources } from './sources.ts';

/** What a subscription needs of the connection it belongs to. */
export interface SubscriptionHost {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly sink: LiveSink;
  readonly sources: LiveSources;
  readonly router: Router;
  readonly counters: LiveCounters;
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

/** The states; SPEC.md draws them. Only `live` is a member of its group. */
type State =
  | { readonly kind: 'loading' }
  | { readonly kind: 'behind'; readonly cursor: Cursor }
  | { readonly kind: 'live' }
  | { readonly kind: 'ended' };

/**
 * One live query of one connection: a bound plan and a cursor. Nothing is ever queued for it; when it cannot be pushed to
 * (it loads, or its connection is paused) it keeps its cursor and catches up later.
 */
export class Subscription implements GroupMember, Straggler {
  readonly id: string;
  readonly sql: string;
  readonly options: SubscribeOptions | undefined;
  readonly createdAtMillis: number;
  /** Change frames delivered. */
  changes = 0;
  lastUpdateMillis: number;
  readonly #host: SubscriptionHost;
  readonly #mode: LoadMode;
  #group: QueryGroup;
  #state: State = { kind: 'loading' };
  /** Set when the initial load began: rows above it are left to catch-up. */
  #boundary = 0n;
  #batchNum = 0;
  #batchInProgress = false;
  #catchingUp = false;
  /** While live: every change at or below it was pushed or means nothing. */
  #pushedSeq = 0n;
  #caughtUpWaiters: (() => void)[] = [];
  /** Its table was altered: until it is bound anew nothing is read or sent. */
  #detached = false;
  #attachedWaiters: (() => void)[] = [];

  constructor(host: SubscriptionHost, request: SubscriptionRequest) {
    this.id = request.id;
    this.sql = request.sql;
    this.options = request.options;
    this.#group = request.group;
    this.#mode = request.mode;
    this.#host = host;
    this.createdAtMillis = host.sources.clock.now();
    this.lastUpdateMillis = this.createdAtMillis;
  }

  get host(): SubscriptionHost {
    return this.#host;
  }

  get group(): QueryGroup {
    return this.#group;
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  get liveId(): string {
    return `${this.#host.principal.userId}-${this.#host.connectionId}-${this.id}`;
  }

  /** Where catch-up continues; `undefined` when it must not. */
  get cursor(): Cursor | undefined {
    return this.#state.kind === 'behind' && !this.#host.paused && !this.#detached ? this.#state.cursor : undefined;
  }

  /**
   * Acknowledges and loads the first batch. Rejects when that fails; the subscription is then ended. Resolves without a
   * frame when it was ended meanwhile.
   */
  async start(): Promise<void> {
    if (this.#mode.kind === 'none') {
      this.#state = { kind: 'behind', cursor: { kind: 'complete', seq: this.#host.sources.commits.watermark } };
      this.#acknowledge(undefined);
      this.wake();
      return;
    }
    const after = this.#mode.kind === 'resume' ? this.#mode.from : 0n;
    await this.#fetchBatch(after, (batch) => this.#acknowledge(batch));
  }

  /**
   * Sends the next batch, after `lastSeq` or from the beginning. Past the load it waits until catch-up is done, so that its batch says
   * that everything before it has been told. Throws the BATCH_* errors; a load that fails ends the subscription.
   */
  async nextBatch(lastSeq: bigint | undefined): Promise<void> {
    if (this.#mode.kind === 'none') throw kalamError('BATCH_WITHOUT_DATA', { id: this.id });
    if (this.#batchInProgress) throw kalamError('BATCH_IN_PROGRESS', { id: this.id });
    if (this.#state.kind === 'behind') await this.#caughtUp();
    const start = this.#mode.kind === 'resume' ? this.#mode.from : 0n;
    this.#batchNum += 1;
    await this.#fetchBatch(lastSeq ?? start, () => undefined);
  }

  push(seq: bigint, body: SharedBody): void {
    if (this.#state.kind !== 'live' || seq <= this.#pushedSeq) return;
    this.#pushedSeq = seq;
    this.#deliverChange(body);
  }

  advance(cursor: Cursor, body: SharedBody | undefined): void {
    if (this.#state.kind !== 'behind') return;
    this.#state = { kind: 'behind', cursor };
    if (body !== undefined) this.#deliverChange(body);
  }

  join(): void {
    if (this.#state.kind !== 'behind') return;
    this.#pushedSeq = this.#state.cursor.seq;
    this.#state = { kind: 'live' };
    this.#host.router.join(this.group, this);
    this.#wakeCaughtUp();
  }

  /** The connection takes no pushes any more: from live to behind, at the newest row that was pushed. */
  fallBehind(): void {
    if (this.#state.kind !== 'live') return;
    const { dispatchedSeq, router } = this.#host;
    router.leave(this.group, this);
    const seq = this.#pushedSeq > dispatchedSeq ? this.#pushedSeq : dispatchedSeq;
    this.#state = { kind: 'behind', cursor: { kind: 'complete', seq } };
  }

  /** Its table was altered: it keeps its cursor, and whatever it does stops until {@link attach}. */
  detach(): void {
    this.fallBehind();
    this.#detached = true;
  }

  /** Goes on with another group, whose use it takes over: the same query on the new version of its table. It must not have ended. */
  attach(group: QueryGroup): void {
    this.#host.router.release(this.#group);
    this.#group = group;
    this.#detached = false;
    this.#wakeAttached();
    this.wake();
  }

  /** Tells a client that is right where it stands, if that has moved since it was last told or sent something. */
  progress(): void {
    const { dispatchedSeq, sink } = this.#host;
    if (this.#state.kind !== 'live' || dispatchedSeq <= this.#pushedSeq) return;
    this.#pushedSeq = dispatchedSeq;
    sink.deliver({ kind: 'progress', subscriptionId: this.id, seq: dispatchedSeq });
  }

  /** Starts catching up if it is behind and nothing hinders it. */
  wake(): void {
    if (this.#catchingUp || this.cursor === undefined) return;
    this.#catchingUp = true;
    const { sources, counters } = this.#host;
    catchUp(this, { sources, counters })
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#catchingUp = false;
        this.wake();
      });
  }

  fail(error: unknown): void {
    if (this.#state.kind === 'ended') return;
    const { code, message } = endingOf(error, this.#host.principal);
    this.end();
    this.#host.sink.deliver({ kind: 'error', subscriptionId: this.id, code, message });
  }

  /** Leaves everything, synchronously and without a frame. */
  end(): void {
    if (this.#state.kind === 'ended') return;
    this.#state = { kind: 'ended' };
    this.#host.router.leave(this.group, this);
    this.#host.router.release(this.group);
    this.#host.forget(this);
    this.#wakeCaughtUp();
    this.#wakeAttached();
  }

  #wakeAttached(): void {
    const waiters = this.#attachedWaiters;
    this.#attachedWaiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when it is live, or ended. */
  #caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#caughtUpWaiters.push(resolve);
    });
  }

  #wakeCaughtUp(): void {
    const waiters = this.#caughtUpWaiters;
    this.#caughtUpWaiters = [];
    for (const wake of waiters) wake();
  }

  async #fetchBatch(after: bigint, announce: (batch: LoadedBatch) => void): Promise<void> {
    this.#batchInProgress = true;
    try {
      if (this.#host.paused) await this.#host.flowing();
      const batch = await this.#loadCurrent(after);
      if (batch === undefined || this.#isEnded()) return;
      this.#batchInProgress = false;
      announce(batch);
      this.#deliverBatch(batch);
    } catch (error) {
      const ended = this.#isEnded();
      this.end();
      if (!ended) throw error;
    } finally {
      this.#batchInProgress = false;
    }
  }

  /** A load that an ALTER interrupts begins again with the new version of the table; `undefined` when the subscription has ended. */
  async #loadCurrent(after: bigint): Promise<LoadedBatch | undefined> {
    while (!this.#isEnded()) {
      if (this.#detached) await new Promise<void>((resolve) => this.#attachedWaiters.push(resolve));
      if (this.#isEnded()) return undefined;
      const { group } = this;
      const batch = await this.#load(after);
      if (batch !== undefined && this.#isCurrent(group)) return batch;
    }
    return undefined;
  }

  #isCurrent(group: QueryGroup): boolean {
    return this.#group === group && !this.#detached;
  }

  #load(after: bigint): Promise<LoadedBatch | undefined> {
    const { sources } = this.#host;
    const { group } = this;
    const mode = this.#mode;
    const cancelled = (): boolean => this.#isEnded() || !this.#isCurrent(group);
    if (this.#batchNum === 0) this.#boundary = sources.commits.watermark;
    const boundary = this.#boundary;
    switch (mode.kind) {
      case 'none':
        throw kalamError('INTERNAL_ERROR', { reason: 'a subscription without initial data loads' });
      case 'last':
        if (this.#batchNum === 0) return loadLastRows(sources, { group, boundary, rowsMax: mode.rowsMax }, cancelled);
        // The newest rows are a single batch: nothing follows it.
        return Promise.resolve({ rows: [], lastSeq: undefined, end: { kind: 'complete', seq: boundary } });
      case 'resume':
        return this.#loadResume(after, mode.batchRowsMax, cancelled);
      case 'rows':
        return loadPage(sources, { group, kind: 'rows', after, boundary, rowsMax: mode.batchRowsMax }, cancelled);
    }
  }

  #loadResume(after: bigint, rowsMax: number, cancelled: () => boolean): Promise<LoadedBatch | undefined> {
    const { sources } = this.#host;
    const { group } = this;
    const request = { group, after, boundary: this.#boundary, rowsMax };
    if (group.plan.table.kind !== 'stream') return loadPage(sources, { ...request, kind: 'resume' }, cancelled);
    // A stream's index holds no tombstones, so its missed events are replayed exactly as long as the tail has them …
    if (sources.commits.tail(after) !== undefined) {
      return Promise.resolve({ rows: [], lastSeq: undefined, end: { kind: 'complete', seq: after } });
    }
    // … and otherwise what was there when the load began: deletions since then leave no trace but in the tail above it.
    return loadPage(sources, { ...request, kind: 'rows' }, cancelled);
  }

  #acknowledge(batch: LoadedBatch | undefined): void {
    const control = batchControl(0, batch !== undefined && batch.end === undefined, batch?.lastSeq);
    this.#host.sink.deliver({ kind: 'ack', subscriptionId: this.id, control, schema: this.group.encoder.schema });
  }

  #deliverBatch({ rows, lastSeq, end }: LoadedBatch): void {
    if (this.#isEnded()) return;
    const control = batchControl(this.#batchNum, end === undefined, lastSeq);
    this.#host.sink.deliver({ kind: 'batch', subscriptionId: this.id, control, rows });
    // A batch asked for after the load was complete changes nothing: changes have begun to flow and must not stop.
    if (this.#state.kind !== 'loading' || end === undefined) return;
    this.#state = { kind: 'behind', cursor: end };
    this.wake();
  }

  #deliverChange(body: SharedBody): void {
    this.changes += 1;
    this.lastUpdateMillis = this.#host.sources.clock.now();
    this.#host.counters.frames += 1;
    this.#host.sink.deliver({ kind: 'change', subscriptionId: this.id, body });
  }

  #isEnded(): boolean {
    return this.#state.kind === 'ended';
  }
}

import { kalamError } from '@kalamdb/protocol';
import type { RowVersion } from '../contract.ts';
import { catchUp, type Straggler } from './catch-up.ts';
import type { CommitListener } from './commit-endings.ts';
import { batchControl, type SharedBody } from './frame.ts';
import { type Cursor, type LoadedBatch, loadLastRows, loadPage } from './initial-load.ts';
import type { LoadMode } from './load-mode.ts';
import type { GroupMember, QueryGroup } from './query-group.ts';
import { Subscription, type SubscriptionHost, type SubscriptionRequest, type SubscriptionState, type Withholding } from './subscription.ts';

/** The states; SPEC.md draws them. Only `live` is a member of its group. */
type State =
  | { readonly kind: 'loading' }
  | { readonly kind: 'behind'; readonly cursor: Cursor }
  | { readonly kind: 'live' }
  | { readonly kind: 'ended' };

/** One for all: there may be a hundred thousand of them. */
const LIVE: State = { kind: 'live' };

/** A live query of single rows: a bound plan and a cursor. */
export class RowSubscription extends Subscription implements GroupMember, Straggler, CommitListener {
  readonly #mode: LoadMode;
  #state: State = { kind: 'loading' };
  /** Set when the initial load began: rows above it are left to catch-up. */
  #boundary = 0n;
  #batchNum = 0;
  #batchInProgress = false;
  #catchingUp = false;
  /** While live: every change at or below it was pushed or means nothing. */
  #pushedSeq = 0n;
  #caughtUpWaiters: (() => void)[] | undefined;
  /** Where the commit order was when the load ended: below it the client has something of a later commit. */
  #loadedSeq = 0n;
  /** The client was told that it is not at the end of a commit. */
  #isWithin = false;

  constructor(host: SubscriptionHost, request: SubscriptionRequest) {
    super(host, request);
    this.#mode = request.mode;
  }

  get state(): SubscriptionState {
    const { kind } = this.#state;
    return kind === 'live' && this.detached ? 'behind' : kind;
  }

  /** Where catch-up continues; `undefined` when it must not. */
  get cursor(): Cursor | undefined {
    return this.#state.kind === 'behind' && !this.host.paused && !this.detached ? this.#state.cursor : undefined;
  }

  get toldSeq(): bigint | undefined {
    if (this.#state.kind === 'behind') return this.#state.cursor.seq;
    if (this.#state.kind !== 'live') return undefined;
    const reached = this.#reachedSeq();
    return this.#pushedSeq > reached ? this.#pushedSeq : reached;
  }

  withheld({ seq }: RowVersion): Withholding | undefined {
    const mode = this.#mode;
    if (mode.kind === 'rows') return undefined;
    const knownSeq = mode.kind === 'resume' ? mode.from : this.#boundary;
    return seq <= knownSeq ? 'BEFORE_SUBSCRIPTION' : undefined;
  }

  async start(): Promise<void> {
    if (this.#mode.kind === 'none') {
      this.#boundary = this.host.sources.commits.watermark;
      this.#state = { kind: 'behind', cursor: { kind: 'complete', seq: this.#boundary } };
      this.#acknowledge(undefined);
      this.wake();
      return;
    }
    const after = this.#mode.kind === 'resume' ? this.#mode.from : 0n;
    await this.#fetchBatch(after, (batch) => this.#acknowledge(batch));
  }

  async nextBatch(lastSeq: bigint | undefined): Promise<void> {
    if (this.#mode.kind === 'none') throw kalamError('BATCH_WITHOUT_DATA', { id: this.id });
    if (this.#batchInProgress) throw kalamError('BATCH_IN_PROGRESS', { id: this.id });
    await this.#toldUpTo(this.host.sources.commits.watermark);
    const start = this.#mode.kind === 'resume' ? this.#mode.from : 0n;
    this.#batchNum += 1;
    await this.#fetchBatch(lastSeq ?? start, () => undefined);
  }

  push(seq: bigint, body: SharedBody, more: boolean): void {
    if (this.#state.kind !== 'live' || seq <= this.#pushedSeq) return;
    this.#pushedSeq = seq;
    this.#tell(body, more);
    if (this.#isWithin) this.host.endings.wait(this);
  }

  commitEnded(seq: bigint): void {
    // Whoever has fallen behind since comes to the end of the commit by itself.
    if (this.#state.kind !== 'live' || !this.#isWithin || this.detached) return;
    if (seq > this.#pushedSeq) this.#pushedSeq = seq;
    this.#tellEnd(seq);
  }

  advance(cursor: Cursor, body: SharedBody | undefined, more: boolean): void {
    if (this.#state.kind !== 'behind') return;
    this.#state = { kind: 'behind', cursor };
    const within = more || cursor.kind === 'scanned' || cursor.seq < this.#loadedSeq;
    if (body !== undefined) this.#tell(body, within);
    else if (!within) this.#tellEnd(cursor.seq);
  }

  join(): void {
    if (this.#state.kind !== 'behind') return;
    const { seq } = this.#state.cursor;
    this.#pushedSeq = seq;
    this.#state = LIVE;
    this.host.router.join(this.group, this);
    this.#wakeCaughtUp();
    this.#tellEnd(seq);
  }

  /** The connection takes no pushes any more: from live to behind, at the newest row that was pushed. */
  fallBehind(): void {
    const seq = this.toldSeq;
    if (this.#state.kind !== 'live' || seq === undefined) return;
    this.host.router.leave(this.group, this);
    this.#state = { kind: 'behind', cursor: { kind: 'complete', seq } };
  }

  miss(): void {
    this.fallBehind();
  }

  /** Tells a client that is right where it stands, if that has moved since it was last told or sent something. */
  progress(): void {
    if (this.#state.kind !== 'live') return;
    const seq = this.#lasting(this.#reachedSeq());
    if (seq <= this.#pushedSeq) return;
    this.#pushedSeq = seq;
    // If it waited for the end of a commit, this is it.
    this.#isWithin = false;
    this.host.sink.deliver({ kind: 'progress', subscriptionId: this.id, seq });
  }

  /** Up to where commits were handed on to its group. */
  #reachedSeq(): bigint {
    return this.group.retiredSeq ?? this.host.dispatchedSeq;
  }

  /** Starts catching up if it is behind and nothing hinders it. */
  wake(): void {
    if (this.#catchingUp || this.cursor === undefined) return;
    this.#catchingUp = true;
    const { sources, counters } = this.host;
    catchUp(this, { sources, counters })
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#catchingUp = false;
        this.wake();
      });
  }

  protected leave(): void {
    this.#state = { kind: 'ended' };
    this.host.router.leave(this.group, this);
    this.#wakeCaughtUp();
  }

  /** Resolves when it is live, or ended. */
  #caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#caughtUpWaiters ??= [];
      this.#caughtUpWaiters.push(resolve);
    });
  }

  /** Past the load: resolves when everything up to a commit was told, also what is still being handed on in slices, or when it has ended. */
  async #toldUpTo(seq: bigint): Promise<void> {
    while (this.#state.kind === 'behind' || (this.toldSeq ?? seq) < seq) {
      if (this.#state.kind === 'behind') await this.#caughtUp();
      else await this.host.sources.turns.next();
    }
  }

  #wakeCaughtUp(): void {
    const waiters = this.#caughtUpWaiters;
    this.#caughtUpWaiters = undefined;
    for (const wake of waiters ?? []) wake();
  }

  async #fetchBatch(after: bigint, announce: (batch: LoadedBatch) => void): Promise<void> {
    this.#batchInProgress = true;
    try {
      if (this.host.paused) await this.host.flowing();
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
      if (this.detached) await this.attached();
      if (this.#isEnded()) return undefined;
      const { group } = this;
      const batch = await this.#load(after);
      if (batch !== undefined && this.#isCurrent(group)) return batch;
    }
    return undefined;
  }

  #isCurrent(group: QueryGroup): boolean {
    return this.group === group && !this.detached;
  }

  #load(after: bigint): Promise<LoadedBatch | undefined> {
    const { sources } = this.host;
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
    const { sources } = this.host;
    const { group } = this;
    const request = { group, after, boundary: this.#boundary, rowsMax };
    if (group.plan.table.kind !== 'stream') return loadPage(sources, { ...request, kind: 'resume' }, cancelled);
    // A stream's index holds no tombstones, so its missed events are replayed exactly as long as the tail has them …
    if (sources.commits.tail(after, 0) !== undefined) {
      return Promise.resolve({ rows: [], lastSeq: undefined, end: { kind: 'complete', seq: after } });
    }
    // … and otherwise what was there when the load began: deletions since then leave no trace but in the tail above it.
    return loadPage(sources, { ...request, kind: 'rows' }, cancelled);
  }

  #acknowledge(batch: LoadedBatch | undefined): void {
    const control = batchControl(0, batch !== undefined && batch.end === undefined, batch?.lastSeq);
    this.host.sink.deliver({ kind: 'ack', subscriptionId: this.id, control, schema: this.group.encoder.schema });
  }

  #deliverBatch({ rows, lastSeq, end }: LoadedBatch): void {
    if (this.#isEnded()) return;
    const control = batchControl(this.#batchNum, end === undefined, lastSeq);
    const isLast = this.#state.kind === 'loading' && end !== undefined;
    if (isLast) this.#loadedSeq = this.host.sources.commits.watermark;
    const isWhole = end?.kind === 'complete' && end.seq >= this.#loadedSeq;
    if (isLast) this.#isWithin = !isWhole && this.host.tellsEndings;
    this.deliverBatch(control, rows, this.#isWithin);
    // A batch asked for after the load was complete changes nothing: changes have begun to flow and must not stop.
    if (this.#state.kind !== 'loading' || end === undefined) return;
    this.#state = { kind: 'behind', cursor: end };
    this.wake();
  }

  #tell(body: SharedBody, more: boolean): void {
    this.#isWithin = more && this.host.tellsEndings;
    this.deliverChange(body, more);
  }

  /** Says that the client is at the end of a commit, if it was told otherwise. */
  #tellEnd(seq: bigint): void {
    if (!this.#isWithin) return;
    this.#isWithin = false;
    this.host.sink.deliver({ kind: 'progress', subscriptionId: this.id, seq: this.#lasting(seq) });
  }

  /**
   * What a client is told that stands at `seq`: where it may stand after another start of the server too, which takes the place of a commit of
   * events for one that was lost.
   */
  #lasting(seq: bigint): bigint {
    const loggedSeq = this.host.sources.loggedSeq();
    return this.group.plan.table.kind === 'stream' || seq < loggedSeq ? seq : loggedSeq;
  }

  #isEnded(): boolean {
    return this.#state.kind === 'ended';
  }
}

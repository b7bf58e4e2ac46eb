import type { Timer, Timers } from '@kalamdb/protocol';
import { clientError, type KalamClientError, KalamServerError } from '../client-error.ts';
import { barrierText, nextBatchText, subscribeText, unsubscribeText, type WireSubscribeOptions } from '../messages/client-frame.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import {
  type AckFrame,
  type BatchFrame,
  type ChangeFrame,
  readSeq,
  type ServerFrame,
  type SubscriptionFrame,
} from '../messages/server-frame.ts';
import type { WireRow } from '../rows/row-data.ts';
import { Inbox, type InboxBudget } from './inbox.ts';

/** How long the server may take for an answer before the socket is replaced. */
const progressTimeoutMillis = 15_000;
/** How often in a row a subscription is asked for again before it is given up. */
const restartsMax = 10;
/** Pause before the second of those, growing by itself each time. */
const restartPauseMillis = 500;

type Refusal = Extract<ServerFrame, { type: 'error' }>;

/**
 * How current a live query is.
 *
 * - `loading`: its rows are not complete yet, or are about to be replaced by a new snapshot.
 * - `caught-up`: everything that was committed when the server last said so is shown, and what is committed from now on follows.
 * - `stale`: the connection is lost, or what was missed meanwhile is still coming in; the rows shown may be old.
 */
export type LiveState = 'loading' | 'caught-up' | 'stale';

/** What went wrong: an error of the client or of the server, or the frame that says so. */
export type LiveError = KalamClientError | KalamServerError | Refusal;

/** Consumes what a subscription delivers: each row version once, in `_seq` order. A promise it returns is awaited before the next delivery. */
export interface SubscriptionSink {
  /** Throws a `KalamClientError` to refuse a subscription with these columns. */
  check?(schema: readonly SchemaField[]): void;
  /** Accepted. `fresh`: a whole snapshot follows and replaces everything delivered so far; otherwise only what was missed follows. */
  acknowledged(frame: AckFrame, fresh: boolean): unknown;
  /** Rows of the snapshot, or those missed. The last batch has `has_more` false; changes come only after it. */
  batch(frame: BatchFrame): unknown;
  changed(frame: ChangeFrame): unknown;
  /** Nothing is on its way any more of the commit that the last change belongs to. */
  settled?(): void;
  /** Something went wrong. `ended`: nothing follows. */
  failed(error: LiveError, ended: boolean): unknown;
  /** Never throws. */
  stateChanged?(state: LiveState): void;
  /** Whether the server is to be asked, after every load, when it has caught up; otherwise the state says so only after {@link Subscription.caughtUp}. */
  readonly wantsState?: boolean;
}

/** The connection as a subscription sees it. */
export interface SubscriptionPort {
  readonly timers: Timers;
  readonly budget: InboxBudget;
  /** `false` when messages do not flow; everything is asked anew when they do again. */
  send(text: string): boolean;
  /** The server does not answer: another socket, please. */
  stalled(reason: string): void;
  /** The subscription is over, for whatever reason; called once. */
  ended(subscription: Subscription): void;
  /** The application's code threw while it was told something. */
  thrown(error: unknown): void;
}

/** What is subscribed to. */
export interface SubscriptionRequest {
  readonly id: string;
  readonly sql: string;
  readonly options: WireSubscribeOptions;
  /** Whether it waits as long as it takes to be accepted, and the sink is told what it fails of. */
  readonly patient?: boolean | undefined;
}

/**
 * | phase | on the present socket |
 * |---|---|
 * | `offline` | not asked for |
 * | `parked` | given back to the server because its callback is slow and the client's inbox full; asked for again when the callback is done |
 * | `asked` | asked for; everything but the acknowledgement belongs to an earlier generation and is dropped |
 * | `loading` | batches arrive, each asked for after the one before |
 * | `live` | complete; changes arrive |
 * | `ended` | over |
 */
type SubscriptionPhase = 'offline' | 'parked' | 'asked' | 'loading' | 'live' | 'ended';

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * One subscription over any number of sockets. Its cursor is the `_seq` up to which its inbox is complete: a new socket is asked
 * for what lies above it, and rows at or below it are dropped, so the sink sees no gap and no row version twice. That holds in the
 * middle of a snapshot as well: its rows come in `_seq` order, so the batches that are in need not come again, and what has
 * changed among their rows since lies above the cursor. A window (ORDER BY with LIMIT) has no cursor: every new socket brings all its rows.
 */
export class Subscription {
  readonly request: SubscriptionRequest;
  /** Resolves at the first acknowledgement, rejects when it is over before that. */
  readonly accepted: Promise<void>;
  readonly #sink: SubscriptionSink;
  readonly #port: SubscriptionPort;
  readonly #inbox: Inbox;
  #phase: SubscriptionPhase = 'offline';
  #state: LiveState = 'loading';
  #cursor: bigint | undefined;
  #delivered: bigint | undefined;
  /** Whether the inbox is complete up to the cursor, so that only what lies above it is wanted. */
  #resumable = false;
  #askedFresh = true;
  #askedFrom: bigint | undefined;
  #window = false;
  /** The commit that the server must have reached; once accepted, it has. */
  #atLeast: string | undefined;
  /** Counts how often it was asked for, so that what belongs to an earlier time is known by it. */
  #generation = 0;
  #restarts = 0;
  #pause: Timer | undefined;
  #answer: Timer | undefined;
  #settle: Waiter | undefined;
  /** Who wants to know when it has caught up: before the server is asked, and while it is. */
  #waiters: Waiter[] = [];
  #asking: Waiter[] | undefined;

  constructor(request: SubscriptionRequest, sink: SubscriptionSink, port: SubscriptionPort) {
    this.request = request;
    this.#sink = sink;
    this.#port = port;
    this.#inbox = new Inbox({
      budget: port.budget,
      thrown: (error) => port.thrown(error),
      drained: () => this.#phase === 'parked' && this.ask(),
    });
    this.#cursor = request.options.from;
    this.#atLeast = request.options.at_least;
    this.#delivered = this.#cursor;
    this.accepted = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  get phase(): SubscriptionPhase {
    return this.#phase;
  }

  /** The `_seq` up to which the sink is complete. */
  get delivered(): bigint | undefined {
    return this.#delivered;
  }

  /** What stands for the answer that is awaited, another object for every question; `undefined` when none is. */
  get awaited(): object | undefined {
    return this.#answer;
  }

  /** Asks for it on a socket that has just become ready, or again on the present one. */
  ask(): void {
    if (this.#phase === 'ended') return;
    const { id, sql, options } = this.request;
    this.#leave('asked');
    if (this.#isOver()) return;
    this.#generation++;
    this.#askedFresh = !this.#resumable;
    this.#askedFrom = this.#cursor;
    const rows = this.#resumable ? {} : { last_rows: options.last_rows };
    this.#ask(subscribeText(id, sql, { batch_size: options.batch_size, ...rows, from: this.#cursor, at_least: this.#atLeast }));
  }

  /** A socket has become ready. */
  resume(): void {
    if (this.#phase !== 'parked') this.ask();
  }

  /** The socket is gone. */
  suspend(): void {
    if (this.#phase !== 'ended' && this.#phase !== 'parked') this.#leave('offline');
  }

  /** Takes a frame of so many bytes that carries this subscription's id. */
  receive(frame: SubscriptionFrame, bytes: number): void {
    if (!this.#isAsked()) return;
    switch (frame.type) {
      case 'subscription_ack':
        this.#acknowledged(frame);
        return;
      case 'initial_data_batch':
        // what comes when everything is there answers the barrier, unless it is a window that the server sends anew
        if (this.#phase === 'live' && !(this.#window && frame.batch_control.batch_num === 0)) this.#caughtUp();
        else if (this.#phase !== 'asked' && this.#hasRoom(bytes)) this.#batch(frame, bytes);
        return;
      case 'change':
        if (this.#phase === 'live' && this.#hasRoom(bytes)) this.#changed(frame, bytes);
        return;
      case 'progress':
        if (this.#phase === 'live') this.#passed(readSeq(frame.seq));
        return;
      case 'error':
        this.#refused(frame);
        return;
      default:
        frame satisfies never;
    }
  }

  /** Resolves when everything that was committed before the call has reached the sink. Rejects when the subscription ends. */
  caughtUp(): Promise<void> {
    if (this.#phase === 'ended') return Promise.reject(clientError('UNSUBSCRIBED', { sql: this.request.sql }));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#phase === 'live' && this.#asking === undefined) this.#askBarrier();
    });
  }

  /** Ends it without a word to the sink. Ending twice is ending once. `reason` rejects whoever waits. */
  end(reason: unknown): void {
    if (this.#phase === 'ended') return;
    this.#inbox.close();
    this.#end(reason);
  }

  /** No socket comes by itself any more: ends it if it was never accepted; otherwise it stays, and unless the application wished it so the sink is told. */
  abandon(error: KalamClientError | KalamServerError, wished = false): void {
    if (this.#isAwaited()) this.end(error);
    else if (!wished) this.#inbox.put(() => this.#sink.failed(error, false));
  }

  #acknowledged(frame: AckFrame): void {
    const fresh = this.#askedFresh;
    this.#phase = 'loading';
    this.#window = frame.window !== undefined;
    this.#atLeast = undefined;
    // asked twice on one socket (its first answer was slow) there are two snapshots, and the second replaces the first
    if (fresh) this.#cursor = this.#window ? undefined : this.#askedFrom;
    try {
      this.#sink.check?.(frame.schema);
    } catch (error) {
      this.#fail(error as KalamClientError);
      return;
    }
    if (fresh) this.#changeState('loading');
    this.#resumable = this.#cursor !== undefined;
    this.#inbox.put(() => this.#sink.acknowledged(frame, fresh));
    this.#settle?.resolve();
    this.#settle = undefined;
    if (this.#phase === 'loading') this.#expectAnswer();
  }

  #batch(frame: BatchFrame, bytes: number): void {
    const { has_more: hasMore, last_seq_id: last } = frame.batch_control;
    const lastSeq = readSeq(last);
    const before = this.#cursor;
    this.#leave('loading');
    // a server may send the rows of one batch in any order, so they are compared with the cursor before the batch
    const rows = frame.rows.filter((row) => isNew(row, before));
    for (const row of rows) this.#advance(readSeq(row['_seq']));
    this.#advance(lastSeq);
    if (!hasMore) this.#arrived();
    this.#deliver(() => this.#sink.batch({ ...frame, rows }), bytes);
    if (!hasMore) return;
    // the next batch is asked for when the application is done with this one
    const generation = this.#generation;
    this.#inbox.put(() => {
      if (this.#phase === 'loading' && this.#generation === generation) this.#more(lastSeq, before);
    });
  }

  #more(lastSeq: bigint | undefined, before: bigint | undefined): void {
    if (lastSeq === undefined || (before !== undefined && lastSeq <= before)) this.#restart('the snapshot does not advance');
    else this.#ask(nextBatchText(this.request.id, lastSeq));
  }

  #changed(frame: ChangeFrame, bytes: number): void {
    const row = frame.rows?.[0] ?? frame.old_values?.[0];
    if (row === undefined || !isNew(row, this.#cursor)) return;
    this.#advance(readSeq(row['_seq']));
    this.#deliver(() => this.#sink.changed(frame), bytes);
  }

  /** Nothing up to `seq` is missing, although nothing has come. */
  #passed(seq: bigint | undefined): void {
    this.#advance(seq);
    this.#deliver(() => this.#sink.settled?.(), 0);
  }

  #deliver(act: () => unknown, bytes: number): void {
    const cursor = this.#cursor;
    this.#inbox.put(() => {
      this.#delivered = cursor;
      return act();
    }, bytes);
  }

  /**
   * Whether a frame may come in. If not, its callback is slower than what arrives: the subscription is given back to the server, at
   * its cursor, so that neither the frames nor the other subscriptions of the socket wait for it.
   */
  #hasRoom(bytes: number): boolean {
    if (this.#inbox.hasRoom(bytes)) return true;
    this.#leave('parked');
    this.#port.send(unsubscribeText(this.request.id));
    return false;
  }

  #arrived(): void {
    this.#restarts = 0;
    this.#phase = 'live';
    if (this.#waiters.length > 0 || this.#sink.wantsState === true) this.#askBarrier();
  }

  #askBarrier(): void {
    this.#asking = this.#waiters;
    this.#waiters = [];
    this.#ask(barrierText(this.request.id));
  }

  /** The server has answered that everything has been sent. */
  #caughtUp(): void {
    const asking = this.#asking;
    if (asking === undefined) return;
    this.#asking = undefined;
    this.#settleAnswer();
    const generation = this.#generation;
    this.#inbox.put(() => {
      if (this.#phase === 'live' && this.#generation === generation) this.#changeState('caught-up');
      for (const waiter of asking) waiter.resolve();
    });
    if (this.#waiters.length > 0) this.#askBarrier();
  }

  #changeState(state: LiveState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#sink.stateChanged?.(state);
  }

  #advance(seq: bigint | undefined): void {
    if (this.#window || seq === undefined || (this.#cursor !== undefined && seq <= this.#cursor)) return;
    this.#cursor = seq;
    this.#resumable = true;
  }

  #refused(frame: Refusal): void {
    switch (frame.code) {
      case 'RESYNC_REQUIRED':
        this.#cursor = undefined;
        this.#atLeast = undefined;
        this.#resumable = false;
        this.#inbox.put(() => this.#sink.failed(frame, false));
        this.#restart(frame.message);
        return;
      case 'BATCH_FETCH_FAILED':
      case 'COMMIT_NOT_REACHED':
        this.#restart(frame.message);
        return;
      case 'SUBSCRIPTION_LIMIT_EXCEEDED':
        // after a reconnect the server may still count the socket that it has not missed yet
        if (this.#isAwaited()) this.#fail(new KalamServerError(frame));
        else this.#restart(frame.message);
        return;
      default:
        this.#fail(new KalamServerError(frame));
    }
  }

  /** Asks again on the same socket: at once the first time, then with growing pauses, and not for ever. */
  #restart(reason: string): void {
    this.#restarts++;
    if (this.#restarts > restartsMax) {
      this.#fail(clientError('SUBSCRIPTION_STALLED', { attempts: restartsMax, reason }));
    } else if (this.#restarts === 1) {
      this.ask();
    } else {
      this.#leave('asked');
      this.#pause = this.#port.timers.after(restartPauseMillis * (this.#restarts - 1), () => this.ask(), { keepAlive: true });
    }
  }

  #fail(error: KalamClientError | KalamServerError): void {
    if (!this.#isAwaited()) this.#inbox.put(() => this.#sink.failed(error, true));
    this.#end(error);
  }

  #end(reason: unknown): void {
    if (this.#phase === 'ended') return;
    const known = this.#phase !== 'offline';
    this.#leave('ended');
    if (known) this.#port.send(unsubscribeText(this.request.id));
    this.#settle?.reject(reason);
    this.#settle = undefined;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason);
    this.#port.ended(this);
  }

  /** Goes to a phase in which nothing arrives; whoever waits to hear that it has caught up waits for the next time it is live. */
  #leave(phase: Exclude<SubscriptionPhase, 'live'>): void {
    this.#pause?.cancel();
    this.#settleAnswer();
    const wasLive = this.#phase === 'live';
    this.#phase = phase;
    this.#waiters = [...(this.#asking ?? []), ...this.#waiters];
    this.#asking = undefined;
    if (phase !== 'ended' && wasLive) this.#changeState('stale');
  }

  /** Whether the server may have something to say. */
  #isAsked(): boolean {
    return this.#phase === 'asked' || this.#phase === 'loading' || this.#phase === 'live';
  }

  /** Whether somebody still waits for the acknowledgement, who learns from its rejection what went wrong. */
  #isAwaited(): boolean {
    return this.#settle !== undefined && this.request.patient !== true;
  }

  /** Asked anew after every call out, which can end it. */
  #isOver(): boolean {
    return this.#phase === 'ended';
  }

  /** Sends what the server must answer. */
  #ask(text: string): void {
    if (!this.#port.send(text)) this.suspend();
    // the application may have ended it, or the connection, while it was told of what has just been sent
    else if (this.#isAsked()) this.#expectAnswer();
  }

  #expectAnswer(): void {
    this.#settleAnswer();
    this.#answer = this.#port.timers.after(progressTimeoutMillis, () => this.#port.stalled(`no answer for '${this.request.sql}'`));
  }

  #settleAnswer(): void {
    this.#answer?.cancel();
    this.#answer = undefined;
  }
}

function isNew(row: WireRow, cursor: bigint | undefined): boolean {
  const seq = readSeq(row['_seq']);
  return seq === undefined || cursor === undefined || seq > cursor;
}

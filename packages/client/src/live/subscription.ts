import type { Timer, Timers } from '@kalamdb/protocol';
import { clientError, KalamServerError } from '../client-error.ts';
import { nextBatchText, subscribeText, unsubscribeText, type WireSubscribeOptions } from '../messages/client-frame.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import { type BatchPosition, type ChangeFrame, readSeq, type ServerFrame } from '../messages/server-frame.ts';
import type { WireRow } from '../rows/row-data.ts';

/** How long the server may take for an acknowledgement or the next batch before the socket is replaced. */
const progressTimeoutMillis = 15_000;
/** How often in a row a subscription is asked for again before it is given up. */
const restartsMax = 5;
/** Pause before the first of those, growing by itself each time. */
const restartPauseMillis = 500;

type Ack = Extract<ServerFrame, { type: 'subscription_ack' }>;
type Batch = Extract<ServerFrame, { type: 'initial_data_batch' }>;
type Refusal = Extract<ServerFrame, { type: 'error' }>;

/** Consumes what a subscription delivers: each row version once, in `_seq` order. */
export interface SubscriptionSink {
  /** Accepted. `fresh`: a whole snapshot follows and replaces everything delivered so far; otherwise only what was missed follows. Throws to refuse. */
  acknowledged(frame: Ack, fresh: boolean): void;
  /** Rows of the snapshot, or those missed. The last batch has `hasMore` false; changes come only after it. */
  batch(frame: Batch): void;
  changed(frame: ChangeFrame): void;
  /** Something went wrong. `ended`: nothing follows. */
  failed(error: { readonly code: string; readonly message: string }, ended: boolean): void;
}

/** The connection as a subscription sees it. */
export interface SubscriptionPort {
  readonly timers: Timers;
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
  /** What the application calls it: the table's name or the SQL. */
  readonly tableName: string;
  readonly options: WireSubscribeOptions;
  readonly createdAt: Date;
}

/**
 * | phase | on the present socket |
 * |---|---|
 * | `offline` | not asked for |
 * | `asked` | asked for; everything but the acknowledgement belongs to an earlier generation and is dropped |
 * | `loading` | batches arrive, each asked for after the one before |
 * | `live` | complete; changes arrive |
 * | `ended` | over |
 */
type SubscriptionPhase = 'offline' | 'asked' | 'loading' | 'live' | 'ended';

/**
 * One subscription over any number of sockets. Its cursor is the `_seq` up to which its sink is complete: a new socket is asked
 * for what lies above it, and rows at or below it are dropped, so the sink sees no gap and no row version twice.
 */
export class Subscription {
  readonly request: SubscriptionRequest;
  /** Resolves at the first acknowledgement, rejects when it is over before that. */
  readonly accepted: Promise<void>;
  readonly #sink: SubscriptionSink;
  readonly #port: SubscriptionPort;
  #phase: SubscriptionPhase = 'offline';
  #cursor: bigint | undefined;
  #schema: readonly SchemaField[] = [];
  /** Whether the sink is complete up to the cursor, so that only what lies above it is wanted. */
  #resumable = false;
  #askedFresh = true;
  #askedFrom: bigint | undefined;
  #restarts = 0;
  #timer: Timer | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;

  constructor(request: SubscriptionRequest, sink: SubscriptionSink, port: SubscriptionPort) {
    this.request = request;
    this.#sink = sink;
    this.#port = port;
    this.#cursor = request.options.from;
    this.accepted = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  get phase(): SubscriptionPhase {
    return this.#phase;
  }

  /** The `_seq` up to which the sink is complete. */
  get cursor(): bigint | undefined {
    return this.#cursor;
  }

  /** The columns of the last acknowledgement. */
  get schema(): readonly SchemaField[] {
    return this.#schema;
  }

  /** Asks for it on a socket that has just become ready, or again on the present one. */
  ask(): void {
    if (this.#phase === 'ended') return;
    const { id, sql, options } = this.request;
    const wanted: WireSubscribeOptions = this.#resumable
      ? { batch_size: options.batch_size, from: this.#cursor }
      : { batch_size: options.batch_size, last_rows: options.last_rows, from: this.#cursor };
    this.#askedFresh = !this.#resumable;
    this.#askedFrom = this.#cursor;
    this.#phase = 'asked';
    if (this.#port.send(subscribeText(id, sql, wanted))) this.#expectProgress();
    else this.suspend();
  }

  /** The socket is gone. */
  suspend(): void {
    if (this.#phase === 'ended') return;
    this.#cancelTimer();
    this.#phase = 'offline';
  }

  /** Takes a frame that carries this subscription's id. */
  receive(frame: Ack | Batch | ChangeFrame | Refusal): void {
    switch (frame.type) {
      case 'subscription_ack':
        if (this.#phase === 'asked' || this.#phase === 'loading' || this.#phase === 'live') this.#acknowledged(frame);
        return;
      case 'initial_data_batch':
        if (this.#phase === 'loading') this.#batch(frame);
        return;
      case 'change':
        if (this.#phase === 'live') this.#changed(frame);
        return;
      case 'error':
        if (this.#phase !== 'offline' && this.#phase !== 'ended') this.#refused(frame);
        return;
      default:
        frame satisfies never;
    }
  }

  /** Ends it without a word to the sink. Ending twice is ending once. `reason` rejects a still pending {@link accepted}. */
  end(reason: Error): void {
    if (this.#phase === 'ended') return;
    const known = this.#phase !== 'offline';
    this.#cancelTimer();
    this.#phase = 'ended';
    if (known) this.#port.send(unsubscribeText(this.request.id));
    this.#settle?.reject(reason);
    this.#settle = undefined;
    this.#port.ended(this);
  }

  /** Ends it if it was never accepted; otherwise it stays and continues on the next socket. */
  withdraw(error: Error): void {
    if (this.#settle !== undefined) this.end(error);
  }

  /** No socket comes by itself any more: ends it if it was never accepted, otherwise tells the sink and stays. */
  abandon(error: Error & { readonly code: string }): void {
    if (this.#settle !== undefined) this.end(error);
    else if (this.#phase !== 'ended') this.#tell(() => this.#sink.failed(error, false));
  }

  #acknowledged(frame: Ack): void {
    this.#schema = frame.schema;
    this.#phase = 'loading';
    // asked twice on one socket (its first answer was slow) there are two snapshots, and the second replaces the first
    if (this.#askedFresh) this.#cursor = this.#askedFrom;
    try {
      this.#sink.acknowledged(frame, this.#askedFresh);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#resumable = this.#cursor !== undefined;
    this.#settle?.resolve();
    this.#settle = undefined;
    this.#expectProgress();
  }

  #batch(frame: Batch): void {
    const { position } = frame;
    const before = this.#cursor;
    // a server may send the rows of one batch in any order, so they are compared with the cursor before the batch
    const rows = frame.rows.filter((row) => this.#isNew(row, before));
    for (const row of rows) this.#advance(readSeq(row['_seq']));
    this.#advance(position.lastSeq);
    if (!position.hasMore) this.#arrived();
    this.#tell(() => this.#sink.batch({ ...frame, rows }));
    if (position.hasMore && this.#phase === 'loading') this.#more(position, before);
  }

  #more(position: BatchPosition, before: bigint | undefined): void {
    if (position.lastSeq === undefined || (before !== undefined && position.lastSeq <= before)) {
      this.#restart('the snapshot does not advance');
      return;
    }
    if (this.#port.send(nextBatchText(this.request.id, position.lastSeq))) this.#expectProgress();
  }

  #changed(frame: ChangeFrame): void {
    const row = frame.rows[0] ?? frame.oldValues[0];
    if (row === undefined || !this.#isNew(row, this.#cursor)) return;
    this.#advance(readSeq(row['_seq']));
    this.#tell(() => this.#sink.changed(frame));
  }

  #arrived(): void {
    this.#cancelTimer();
    this.#restarts = 0;
    this.#phase = 'live';
  }

  #isNew(row: WireRow, cursor: bigint | undefined): boolean {
    const seq = readSeq(row['_seq']);
    return seq === undefined || cursor === undefined || seq > cursor;
  }

  #advance(seq: bigint | undefined): void {
    if (seq === undefined || (this.#cursor !== undefined && seq <= this.#cursor)) return;
    this.#cursor = seq;
    this.#resumable = true;
  }

  #refused(frame: Refusal): void {
    switch (frame.code) {
      case 'RESYNC_REQUIRED':
        this.#cursor = undefined;
        this.#resumable = false;
        this.#tell(() => this.#sink.failed(frame, false));
        this.#restart(frame.message);
        return;
      case 'BATCH_FETCH_FAILED':
        this.#restart(frame.message);
        return;
      case 'SUBSCRIPTION_LIMIT_EXCEEDED':
        // after a reconnect the server may still count the socket that it has not missed yet
        if (this.#settle === undefined) this.#restart(frame.message);
        else this.#fail(new KalamServerError(frame));
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
      return;
    }
    this.#phase = 'asked';
    this.#cancelTimer();
    if (this.#restarts === 1) this.ask();
    else this.#timer = this.#port.timers.after(restartPauseMillis * (this.#restarts - 1), () => this.ask(), { keepAlive: true });
  }

  #fail(error: Error & { readonly code?: string }): void {
    const pending = this.#settle !== undefined;
    this.end(error);
    // whoever still waits for the acknowledgement learns it from the rejection
    if (!pending) this.#tell(() => this.#sink.failed({ code: error.code ?? 'SUBSCRIPTION_FAILED', message: error.message }, true));
  }

  #tell(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#port.thrown(error);
    }
  }

  #expectProgress(): void {
    this.#cancelTimer();
    // the application may have ended it while it was told of what has just been sent or received
    if (this.#phase !== 'asked' && this.#phase !== 'loading') return;
    this.#timer = this.#port.timers.after(progressTimeoutMillis, () => this.#port.stalled(`no answer for '${this.request.sql}'`));
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

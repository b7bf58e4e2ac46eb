import type { Clock, Timers } from '@kalamdb/protocol';
import { clientError } from '../client-error.ts';
import type { WireSubscribeOptions } from '../messages/client-frame.ts';
import type { ServerFrame } from '../messages/server-frame.ts';
import { SeqId } from '../rows/seq-id.ts';
import { Subscription, type SubscriptionPort, type SubscriptionSink } from './subscription.ts';

/** Subscriptions one client may hold. */
const subscriptionsMax = 1_000;
/** Pause after the server said that messages come too fast; those it dropped are sent again then. */
const rateLimitPauseMillis = 1_000;

/** What {@link Subscriptions} needs of the connection. */
interface SubscriptionsPort {
  readonly clock: Clock;
  readonly timers: Timers;
  /** How long {@link Subscriptions.add} waits for the acknowledgement. */
  readonly subscribeTimeoutMillis: number;
  send(text: string): boolean;
  stalled(reason: string): void;
  /** The application's code threw. */
  thrown(error: unknown): void;
  /** Why there is no connection, for the error of someone who waited in vain. */
  lastFailure(): string;
}

/** A subscription as applications see it. */
export interface SubscriptionInfo {
  readonly id: string;
  /** The table's name or the SQL, as it was passed in. */
  readonly tableName: string;
  readonly createdAt: Date;
  /** The position up to which it is complete. */
  readonly lastSeqId?: SeqId;
  readonly closed: boolean;
}

/** All subscriptions of a client. They outlive sockets: on a new one each is asked for again from where it was. */
export class Subscriptions {
  readonly #port: SubscriptionsPort;
  readonly #members = new Map<string, Subscription>();
  #created = 0;
  #reasking = false;

  constructor(port: SubscriptionsPort) {
    this.#port = port;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Starts one. Resolves with it at the server's acknowledgement; rejects with the server's refusal, or `SUBSCRIBE_TIMEOUT`. */
  async add(
    wish: { readonly sql: string; readonly tableName: string; readonly options: WireSubscribeOptions },
    sink: (id: string) => SubscriptionSink,
  ): Promise<Subscription> {
    if (this.#members.size >= subscriptionsMax) throw clientError('SUBSCRIPTIONS_FULL', { subscriptionsMax });
    this.#created++;
    const id = `sub-${this.#created}`;
    const { clock, timers, subscribeTimeoutMillis: millis } = this.#port;
    const subscription = new Subscription({ id, ...wish, createdAt: new Date(clock.now()) }, sink(id), this.#portOf());
    this.#members.set(id, subscription);
    subscription.ask();
    const expire = (): void =>
      subscription.end(clientError('SUBSCRIBE_TIMEOUT', { sql: wish.sql, millis, reason: this.#port.lastFailure() }));
    const timer = timers.after(millis, expire, { keepAlive: true });
    try {
      await subscription.accepted;
      return subscription;
    } finally {
      timer.cancel();
    }
  }

  get(id: string): Subscription | undefined {
    return this.#members.get(id);
  }

  /** Ends one; an unknown id is one that has ended. */
  remove(id: string): void {
    const subscription = this.#members.get(id);
    subscription?.end(clientError('UNSUBSCRIBED', { sql: subscription.request.sql }));
  }

  /** Ends all, at the application's wish. */
  clear(): void {
    for (const id of [...this.#members.keys()]) this.remove(id);
  }

  /** Ends all, because the client ends; whoever still waits is told `CLIENT_CLOSED`. */
  close(): void {
    for (const subscription of [...this.#members.values()]) subscription.end(clientError('CLIENT_CLOSED', {}));
  }

  /** A socket has become ready. */
  resume(): void {
    for (const subscription of [...this.#members.values()]) subscription.ask();
  }

  /** The socket is gone. */
  suspend(): void {
    for (const subscription of this.#members.values()) subscription.suspend();
  }

  /** The application closed the socket: those not yet accepted end. */
  withdraw(error: Error): void {
    for (const subscription of [...this.#members.values()]) subscription.withdraw(error);
  }

  /** There will be no socket until the application asks for one: those not yet accepted end, the others are told and stay. */
  abandon(error: Error & { readonly code: string }): void {
    for (const subscription of [...this.#members.values()]) subscription.abandon(error);
  }

  /** Takes a frame of the present socket. `false`: it belongs to no subscription. */
  receive(frame: ServerFrame): boolean {
    if (frame.type === 'auth_success' || frame.type === 'auth_error') return false;
    if (frame.type === 'error' && frame.id === 'rate_limit') {
      this.#askAgainLater();
      return true;
    }
    const subscription = this.#members.get(frame.id);
    subscription?.receive(frame);
    return subscription !== undefined;
  }

  /** What there is, oldest first. */
  infos(): SubscriptionInfo[] {
    return [...this.#members.values()].map(({ request, cursor }) => ({
      id: request.id,
      tableName: request.tableName,
      createdAt: request.createdAt,
      ...(cursor === undefined ? {} : { lastSeqId: SeqId.from(cursor) }),
      closed: false,
    }));
  }

  #portOf(): SubscriptionPort {
    return {
      timers: this.#port.timers,
      send: (text) => this.#port.send(text),
      stalled: (reason) => this.#port.stalled(reason),
      thrown: (error) => this.#port.thrown(error),
      ended: (subscription) => this.#members.delete(subscription.request.id),
    };
  }

  #askAgainLater(): void {
    if (this.#reasking) return;
    this.#reasking = true;
    this.#port.timers.after(rateLimitPauseMillis, () => {
      this.#reasking = false;
      for (const subscription of [...this.#members.values()]) if (subscription.phase === 'asked') subscription.ask();
    });
  }
}

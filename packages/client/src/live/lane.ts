import type { Timers } from '@kalamdb/protocol';
import type { ConnectionListener, SocketConnection } from '../connection/socket-connection.ts';
import type { InboxBudget } from './inbox.ts';
import { Subscription, type SubscriptionPort, type SubscriptionRequest, type SubscriptionSink } from './subscription.ts';

/** Pause after the server said that messages come too fast; what it dropped is sent again then. */
const rateLimitPauseMillis = 1_000;

/** What a lane needs of the client. */
export interface LanePort {
  readonly timers: Timers;
  readonly budget: InboxBudget;
  /** Makes a connection that reports to this listener. */
  open(listener: ConnectionListener): SocketConnection;
  /** Told what the lane was told, after it. */
  readonly report: ConnectionListener;
  thrown(error: unknown): void;
  ended(subscription: Subscription): void;
}

/** One socket and the subscriptions on it. They outlive the socket: on a new one each is asked for again from where it was. */
export class Lane {
  readonly connection: SocketConnection;
  readonly #port: LanePort;
  readonly #members = new Map<string, Subscription>();
  #reasking = false;

  constructor(port: LanePort) {
    this.#port = port;
    this.connection = port.open(this.#listener());
  }

  get size(): number {
    return this.#members.size;
  }

  get members(): readonly Subscription[] {
    return [...this.#members.values()];
  }

  /** Makes a subscription, which {@link begin} asks for. */
  add(request: SubscriptionRequest, sink: SubscriptionSink): Subscription {
    const port: SubscriptionPort = {
      timers: this.#port.timers,
      budget: this.#port.budget,
      send: (text) => this.connection.send(text),
      stalled: (reason) => this.connection.restart(reason),
      thrown: (error) => this.#port.thrown(error),
      ended: (ended) => {
        this.#members.delete(ended.request.id);
        this.#port.ended(ended);
      },
    };
    const subscription = new Subscription(request, sink, port);
    this.#members.set(request.id, subscription);
    return subscription;
  }

  /** Asks for it, now or as soon as the socket is ready, unless that has been done; a socket that nobody opens any more is opened again. */
  begin(subscription: Subscription): void {
    if (subscription.phase === 'offline') subscription.ask();
    // whatever keeps the socket from opening also reaches the subscription, as a refusal or as its time limit
    this.connection.connect().catch(() => undefined);
  }

  #listener(): ConnectionListener {
    const { report } = this.#port;
    return {
      ...report,
      ready: () => {
        for (const subscription of this.members) subscription.resume();
        report.ready();
      },
      lost: (reason) => {
        for (const subscription of this.members) subscription.suspend();
        report.lost(reason);
      },
      gaveUp: (error) => {
        report.gaveUp(error);
        for (const subscription of this.members) subscription.abandon(error);
      },
      frame: (frame, bytes) => {
        if (frame.type === 'error' && frame.subscription_id === 'rate_limit') this.#askAgainLater();
        const subscription = this.#members.get(frame.subscription_id);
        if (subscription === undefined) report.frame(frame, bytes);
        else subscription.receive(frame, bytes);
      },
    };
  }

  /** Whoever still waits for the same answer after the pause asks again: its question was dropped. */
  #askAgainLater(): void {
    if (this.#reasking) return;
    this.#reasking = true;
    const awaited = this.members.map((subscription) => ({ subscription, answer: subscription.awaited }));
    this.#port.timers.after(rateLimitPauseMillis, () => {
      this.#reasking = false;
      for (const { subscription, answer } of awaited) if (answer !== undefined && subscription.awaited === answer) subscription.ask();
    });
  }
}

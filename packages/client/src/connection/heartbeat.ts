import type { Clock, Timer, Timers } from '@kalamdb/protocol';
import { PING_TEXT, PROBE_TEXT } from '../messages/client-frame.ts';

/** How long the server may take to answer a probe, unless signs of life are asked for more often than that. */
const answerMillisMax = 3_000;
/** A tick that comes this many intervals late means that the machine slept. */
const sleepIntervals = 2;

/** What a heartbeat works with. */
interface HeartbeatOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Between two signs of life; 0 for none. */
  readonly intervalMillis: number;
  /** Sends a text; `false` when it cannot. */
  readonly send: (text: string) => boolean;
  /** Called at every tick. */
  readonly tick: () => void;
  /** The server has gone silent. Nothing follows. */
  readonly dead: (reason: string) => void;
}

/**
 * Finds out whether a socket still has somebody at its other end. One tick: a ping while the server speaks by itself. After a
 * silent tick a probe, which it must answer soon, or the connection is dead, whatever the operating system
 * believes (half-open). Whoever has been away asks at once ({@link check}), and so does a tick that comes much too late.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #ticks: Timer | undefined;
  #answer: Timer | undefined;
  #tickedAt: number;
  #heard = true;

  constructor(options: HeartbeatOptions) {
    const { timers, intervalMillis, clock } = options;
    this.#options = options;
    this.#tickedAt = clock.now();
    if (intervalMillis > 0) this.#ticks = timers.every(intervalMillis, () => this.#tick());
  }

  /** Something came in. */
  heard(): void {
    this.#heard = true;
    this.#answer?.cancel();
    this.#answer = undefined;
  }

  /** Asks the server for a sign of life now, and does not wait long for it. */
  check(): void {
    const { timers, intervalMillis, send } = this.#options;
    if (this.#answer !== undefined || !send(PROBE_TEXT)) return;
    this.#answer = timers.after(Math.min(intervalMillis || answerMillisMax, answerMillisMax), () => this.#dead());
  }

  /** Lets the socket be. */
  stop(): void {
    this.#ticks?.cancel();
    this.#answer?.cancel();
  }

  #tick(): void {
    const { clock, intervalMillis, send, tick } = this.#options;
    const now = clock.now();
    const slept = now - this.#tickedAt > intervalMillis * (1 + sleepIntervals);
    this.#tickedAt = now;
    tick();
    if (this.#heard && !slept) send(PING_TEXT);
    else this.check();
    this.#heard = false;
  }

  #dead(): void {
    this.stop();
    this.#options.dead('the server is silent');
  }
}

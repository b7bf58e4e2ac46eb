import type { Duplex } from 'node:stream';
import type { Clock, Timers } from '@kalamdb/protocol';

/** Milliseconds for which sockets are written to before others get their turn of the event loop. */
const SLICE_MILLIS = 3;
/** Frames for one socket are put together up to so many bytes. */
const TOGETHER_BYTES_MAX = 65_536;
/** Larger frames are not copied. */
const COPIED_BYTES_MAX = 16_384;

/** What has frames for one socket. */
export interface Departing {
  /** Writes them, by {@link Departures.write}. */
  flush(): void;
}

/**
 * Empties the outboxes in which something was put, in the order in which that happened, at the end of the turn of the event loop and,
 * if there are many, in the next ones. What is put in until an outbox has its turn leaves with the rest, so that the more there is to do
 * the more frames go into one write, which is the dearest part of sending.
 */
export class Departures {
  readonly #clock: Clock;
  readonly #timers: Timers;
  #entered: Departing[] = [];
  #next = 0;
  #due = false;
  /** Frames are put together here; a socket that has not taken them in at once keeps it. */
  #together = Buffer.allocUnsafeSlow(TOGETHER_BYTES_MAX);

  constructor({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Has an outbox emptied soon. */
  enter(outbox: Departing): void {
    this.#entered.push(outbox);
    if (this.#due) return;
    this.#due = true;
    process.nextTick(() => this.#depart());
  }

  /** Writes whole frames to a socket; `sent` is called each time when it has taken some in. */
  write(socket: Duplex, frames: readonly Buffer[], sent: () => void): void {
    const [first] = frames;
    if (first !== undefined && frames.length === 1) {
      socket.write(first, sent);
      return;
    }
    let used = 0;
    const writeTogether = (): void => {
      if (used === 0) return;
      socket.write(this.#together.subarray(0, used), sent);
      used = 0;
      if (socket.writableLength > 0) this.#together = Buffer.allocUnsafeSlow(TOGETHER_BYTES_MAX);
    };
    for (const frame of frames) {
      const copied = frame.length <= COPIED_BYTES_MAX;
      if (!copied || used + frame.length > TOGETHER_BYTES_MAX) writeTogether();
      if (copied) {
        this.#together.set(frame, used);
        used += frame.length;
      } else socket.write(frame, sent);
    }
    writeTogether();
  }

  #depart(): void {
    const end = this.#clock.elapsed() + SLICE_MILLIS;
    for (let outbox = this.#entered[this.#next]; outbox !== undefined; outbox = this.#entered[this.#next]) {
      if (this.#clock.elapsed() >= end) {
        this.#timers.soon(() => this.#depart());
        return;
      }
      this.#next += 1;
      outbox.flush();
    }
    this.#entered = [];
    this.#next = 0;
    this.#due = false;
  }
}

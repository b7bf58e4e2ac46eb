import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Departures } from './departures.ts';
import type { EncodedFrame, PendingFrame } from './encoded-frame.ts';
import type { OutboxBudget } from './outbox-budget.ts';

/** What an outbox needs to know. */
export interface OutboxOptions {
  readonly webSocket: WebSocket;
  /** The socket under it, to which whole frames are written. */
  readonly socket: Duplex;
  /** Bytes that may wait for the client before {@link onFull}. */
  readonly bytesMax: number;
  /** What waits in the outboxes of all connections. */
  readonly budget: OutboxBudget;
  /** Where all outboxes are emptied. */
  readonly departures: Departures;
  /** The client is slower than what it gets; called once until {@link onDrained}. */
  readonly onFull: () => void;
  readonly onDrained: () => void;
}

interface Waiting {
  /** `undefined` while it is being compressed. */
  frame: EncodedFrame | undefined;
  readonly bytes: number;
}

/**
 * The way of frames to one client, in the order in which they were put in. Those that are there when its turn comes leave in
 * one write. A frame that is still being compressed holds up those behind it. The outbox never drops and never refuses:
 * whoever fills it is told when it is over its budget, and again when at most half of the budget is waiting.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  /** Frames that may leave. */
  #leaving: Buffer[] = [];
  #leavingBytes = 0;
  /** Frames behind one that is being compressed, and that one. */
  readonly #waiting: Waiting[] = [];
  readonly #sent = (): void => this.#checkDrained();
  #waitingBytes = 0;
  /** What the budget knows of; never less than what there is. */
  #counted = 0;
  #full = false;
  #ended = false;
  #pong: Buffer | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes that have not been handed to the operating system. */
  get bytes(): number {
    return this.#options.socket.writableLength + this.#leavingBytes + this.#waitingBytes;
  }

  /** Over budget, and not drained since. */
  get full(): boolean {
    return this.#full;
  }

  /** Sends a frame soon, behind the ones that are still being compressed. */
  put(frame: EncodedFrame | PendingFrame): void {
    if (this.#ended) return;
    if ('ready' in frame) this.#putPending(frame);
    else if (this.#waiting.length > 0) this.#wait({ frame, bytes: frame.wire.length });
    else this.#leave(frame.wire);
    this.#checkFull();
  }

  /** Answers a ping. While the outbox is full the answer waits, and only the last ping gets one (RFC 6455 5.5.3). */
  pong(data: Buffer): void {
    const { webSocket } = this.#options;
    if (this.#full) this.#pong = data;
    else if (webSocket.readyState === webSocket.OPEN) {
      this.flush();
      webSocket.pong(data, false, this.#sent);
      this.#count(data.length);
      this.#checkFull();
    }
  }

  /** Hands what may leave to the socket now. */
  flush(): void {
    const { webSocket, socket, departures } = this.#options;
    const frames = this.#leaving;
    if (frames.length === 0) return;
    this.#leaving = [];
    this.#leavingBytes = 0;
    if (webSocket.readyState === webSocket.OPEN) departures.write(socket, frames, this.#sent);
  }

  /** The connection has ended: what waits is not held any longer. */
  end(): void {
    this.#ended = true;
    this.#leaving = [];
    this.#leavingBytes = 0;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#options.budget.add(-this.#counted);
    this.#counted = 0;
  }

  #leave(wire: Buffer): void {
    if (this.#leaving.push(wire) === 1) this.#options.departures.enter(this);
    this.#leavingBytes += wire.length;
    this.#count(wire.length);
  }

  #wait(place: Waiting): void {
    this.#waiting.push(place);
    this.#waitingBytes += place.bytes;
    this.#count(place.bytes);
  }

  #putPending(pending: PendingFrame): void {
    const place: Waiting = { frame: undefined, bytes: pending.plainBytes };
    this.#wait(place);
    void pending.ready.then((frame) => {
      place.frame = frame;
      this.#letLeave();
    });
  }

  #letLeave(): void {
    if (this.#ended) return;
    let first = this.#waiting[0];
    while (first?.frame !== undefined) {
      this.#waiting.shift();
      this.#waitingBytes -= first.bytes;
      this.#leave(first.frame.wire);
      first = this.#waiting[0];
    }
    this.#checkDrained();
  }

  #count(bytes: number): void {
    this.#counted += bytes;
    this.#options.budget.add(bytes);
  }

  #checkFull(): void {
    if (this.#full || this.#counted <= this.#options.budget.shareOf(this.#options.bytesMax)) return;
    this.#full = true;
    this.#options.onFull();
  }

  #checkDrained(): void {
    if (this.#ended) return;
    this.#count(this.bytes - this.#counted);
    if (!this.#full || this.#counted > this.#options.budget.shareOf(this.#options.bytesMax) / 2) return;
    this.#full = false;
    if (this.#pong !== undefined) this.pong(this.#pong);
    this.#pong = undefined;
    this.#options.onDrained();
  }
}

import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { EncodedFrame, PendingFrame } from './encoded-frame.ts';
import type { OutboxBudget } from './outbox-budget.ts';

/** What an outbox needs to know. */
export interface OutboxOptions {
  readonly webSocket: WebSocket;
  /** The socket under it, to send the frames of one turn in one go. */
  readonly socket: Duplex;
  /** Bytes that may wait for the client before {@link onFull}. */
  readonly bytesMax: number;
  /** What waits in the outboxes of all connections. */
  readonly budget: OutboxBudget;
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
 * The way of frames to one client, in the order in which they were put in. Frames of one turn of the event loop leave in
 * one write. A frame that is still being compressed holds up those behind it. The outbox never drops and never refuses:
 * whoever fills it is told when it is over its budget, and again when at most half of the budget is waiting.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #waiting: Waiting[] = [];
  readonly #sent = (): void => this.#checkDrained();
  #waitingBytes = 0;
  /** What the budget knows of. */
  #counted = 0;
  #corked = false;
  #full = false;
  #ended = false;
  #pong: Buffer | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes that have not been handed to the operating system. */
  get bytes(): number {
    return this.#options.webSocket.bufferedAmount + this.#waitingBytes;
  }

  /** Over budget, and not drained since. */
  get full(): boolean {
    return this.#full;
  }

  /** Sends a frame, now or behind the ones that are still being compressed. */
  put(frame: EncodedFrame | PendingFrame): void {
    if (!('data' in frame)) this.#putPending(frame);
    else if (this.#waiting.length > 0) this.#wait({ frame, bytes: frame.data.length });
    else this.#write(frame);
    this.#recount();
    this.#checkFull();
  }

  /** Answers a ping. While the outbox is full the answer waits, and only the last ping gets one (RFC 6455 5.5.3). */
  pong(data: Buffer): void {
    const { webSocket } = this.#options;
    if (this.#full) this.#pong = data;
    else if (webSocket.readyState === webSocket.OPEN) {
      webSocket.pong(data, false, this.#sent);
      this.#recount();
      this.#checkFull();
    }
  }

  /** The connection has ended: what waits is not held any longer. */
  end(): void {
    this.#ended = true;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#options.budget.add(-this.#counted);
    this.#counted = 0;
  }

  #wait(place: Waiting): void {
    this.#waiting.push(place);
    this.#waitingBytes += place.bytes;
  }

  #putPending(pending: PendingFrame): void {
    const place: Waiting = { frame: undefined, bytes: pending.plainBytes };
    this.#wait(place);
    void pending.ready.then((frame) => {
      place.frame = frame;
      this.#writeReady();
    });
  }

  #writeReady(): void {
    let first = this.#waiting[0];
    while (first?.frame !== undefined) {
      this.#waiting.shift();
      this.#waitingBytes -= first.bytes;
      this.#write(first.frame);
      first = this.#waiting[0];
    }
    this.#recount();
    this.#checkFull();
    this.#checkDrained();
  }

  #write(frame: EncodedFrame): void {
    const { webSocket, socket } = this.#options;
    if (webSocket.readyState !== webSocket.OPEN) return;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    webSocket.send(frame.data, { binary: frame.binary, compress: false }, this.#sent);
  }

  #recount(): void {
    if (this.#ended) return;
    const { bytes } = this;
    this.#options.budget.add(bytes - this.#counted);
    this.#counted = bytes;
  }

  #checkFull(): void {
    if (this.#full || this.bytes <= this.#options.budget.shareOf(this.#options.bytesMax)) return;
    this.#full = true;
    this.#options.onFull();
  }

  #checkDrained(): void {
    this.#recount();
    if (!this.#full || this.#ended || this.bytes > this.#options.budget.shareOf(this.#options.bytesMax) / 2) return;
    this.#full = false;
    if (this.#pong !== undefined) this.pong(this.#pong);
    this.#pong = undefined;
    this.#options.onDrained();
  }
}

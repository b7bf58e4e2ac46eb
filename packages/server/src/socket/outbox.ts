import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { EncodedFrame, PendingFrame } from './encoded-frame.ts';

/** What an outbox needs to know. */
export interface OutboxOptions {
  readonly webSocket: WebSocket;
  /** The socket under it, to send the frames of one turn in one go and to hear when it has drained. */
  readonly socket: Duplex;
  /** Bytes that may wait for the client before {@link onFull}. */
  readonly bytesMax: number;
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
  #waitingBytes = 0;
  #corked = false;
  #full = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.socket.on('drain', () => this.#checkDrained());
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
    this.#checkFull();
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
    webSocket.send(frame.data, { binary: frame.binary, compress: false });
  }

  #checkFull(): void {
    if (this.#full || this.bytes <= this.#options.bytesMax) return;
    this.#full = true;
    this.#options.onFull();
  }

  #checkDrained(): void {
    if (!this.#full || this.bytes > this.#options.bytesMax / 2) return;
    this.#full = false;
    this.#options.onDrained();
  }
}

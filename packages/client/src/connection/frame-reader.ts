import { clientError, reasonOf } from '../client-error.ts';

/** Compressed and plain bytes that may wait behind a frame being inflated. */
const queuedBytesMax = 32 * 1024 * 1024;
/** Bytes one frame may inflate to. */
const inflatedBytesMax = 64 * 1024 * 1024;

/** Where the frames go. */
interface FrameReceiver {
  /** One frame's text, in the order of arrival. */
  deliver(text: string): void;
  /** The frames cannot be read any more; nothing is delivered after this. */
  fail(reason: string): void;
}

/**
 * Turns the frames of one socket into texts. The server sends long ones as gzip in binary frames; inflating takes a turn of
 * the event loop, so whatever arrives meanwhile waits its turn: order is kept, and passing a bound fails the socket.
 */
export class FrameReader {
  readonly #receiver: FrameReceiver;
  readonly #queue: (string | Uint8Array)[] = [];
  #queuedBytes = 0;
  #state: 'free' | 'inflating' | 'over' = 'free';

  constructor(receiver: FrameReceiver) {
    this.#receiver = receiver;
  }

  /** Takes a frame as it came. */
  push(frame: string | Uint8Array): void {
    if (this.#state === 'over') return;
    if (this.#state === 'free' && typeof frame === 'string') {
      this.#receiver.deliver(frame);
      return;
    }
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
    if (this.#queuedBytes > queuedBytesMax)
      this.#fail(clientError('FRAME_TOO_LARGE', { bytesMax: queuedBytesMax, what: 'frames waiting' }));
    else if (this.#state === 'free') void this.#drain();
  }

  /** Delivers nothing any more. */
  close(): void {
    this.#state = 'over';
    this.#queue.length = 0;
  }

  async #drain(): Promise<void> {
    this.#state = 'inflating';
    try {
      for (let frame = this.#queue.shift(); frame !== undefined; frame = this.#queue.shift()) {
        const text = typeof frame === 'string' ? frame : await inflate(frame);
        if (this.#isOver()) return;
        this.#queuedBytes -= frame.length;
        this.#receiver.deliver(text);
        if (this.#isOver()) return;
      }
      this.#state = 'free';
    } catch (error) {
      if (!this.#isOver()) this.#fail(error);
    }
  }

  /** Asked anew after every await and every call out: both can end the reader. */
  #isOver(): boolean {
    return this.#state === 'over';
  }

  #fail(error: unknown): void {
    this.close();
    this.#receiver.fail(reasonOf(error));
  }
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

async function inflate(bytes: Uint8Array): Promise<string> {
  const decoder = new TextDecoder();
  if (!isGzip(bytes)) return decoder.decode(bytes);
  const gzip = new DecompressionStream('gzip');
  const writer = gzip.writable.getWriter();
  // a damaged stream fails both ends; the reading end reports it
  void Promise.allSettled([writer.write(bytes), writer.close()]);
  const reader = gzip.readable.getReader();
  let text = '';
  let length = 0;
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const part = chunk.value as Uint8Array;
    length += part.length;
    if (length > inflatedBytesMax) {
      void Promise.allSettled([reader.cancel()]);
      throw clientError('FRAME_TOO_LARGE', { bytesMax: inflatedBytesMax, what: 'one inflated frame' });
    }
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

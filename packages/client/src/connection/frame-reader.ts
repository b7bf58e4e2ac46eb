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
  /** Bytes that wait; each frame counts as one more than it has. */
  #queuedBytes = 0;
  #last: Promise<void> = Promise.resolve();
  #over = false;

  constructor(receiver: FrameReceiver) {
    this.#receiver = receiver;
  }

  /** Takes a frame as it came. */
  push(frame: string | Uint8Array): void {
    if (this.#over) return;
    if (this.#queuedBytes === 0 && typeof frame === 'string') {
      this.#receiver.deliver(frame);
      return;
    }
    const bytes = frame.length + 1;
    this.#queuedBytes += bytes;
    if (this.#queuedBytes > queuedBytesMax)
      this.#fail(clientError('FRAME_TOO_LARGE', { bytesMax: queuedBytesMax, what: 'frames waiting' }));
    this.#last = this.#last
      .then(async () => {
        if (this.#over) return;
        const text = typeof frame === 'string' ? frame : await inflate(frame);
        this.#queuedBytes -= bytes;
        if (!this.#isOver()) this.#receiver.deliver(text);
      })
      .catch((error: unknown) => this.#fail(error));
  }

  /** Delivers nothing any more. */
  close(): void {
    this.#over = true;
  }

  /** Asked anew after every await, during which it can be closed. */
  #isOver(): boolean {
    return this.#over;
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.close();
    this.#receiver.fail(reasonOf(error));
  }
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

async function inflate(bytes: Uint8Array): Promise<string> {
  if (!isGzip(bytes)) return new TextDecoder().decode(bytes);
  let length = 0;
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(part, stream) {
      length += part.length;
      if (length > inflatedBytesMax) throw clientError('FRAME_TOO_LARGE', { bytesMax: inflatedBytesMax, what: 'one frame' });
      stream.enqueue(part);
    },
  });
  return await new Response(
    new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip')).pipeThrough(bounded),
  ).text();
}

import { Buffer } from 'node:buffer';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { kalamError } from '@kalamdb/protocol';
import type { WriteGate } from './write-gate.ts';

/** Pieces that are on their way or wait to be written. */
export const piecesInFlightMax: number = 8;
/** Milliseconds between two looks whether the process ends, when no piece comes. */
const lookMillis = 100;

/** The receiver's end. It is read without an event loop: whoever writes a transaction has none. */
export interface PackedReceiver {
  /** Gives pieces, then the end of the stream, and takes a word for each piece that was written. */
  readonly port: MessagePort;
  /** One number, one higher with each message to the receiver; woken up by it. */
  readonly sent: Int32Array<SharedArrayBuffer>;
}

type Message = { readonly kind: 'piece'; readonly bytes: Uint8Array<ArrayBuffer> } | { readonly kind: 'end' } | { readonly kind: 'failed' };

/**
 * Sends pieces to a receiver in another thread, each with its memory, which must be its own; at most {@link piecesInFlightMax} are not written
 * yet. Rejects with what making the pieces throws; the receiver gives up then. Returns early when `ended` settles.
 */
export async function sendPacked(pieces: Iterable<Buffer>, { port, sent }: PackedReceiver, ended: Promise<unknown>): Promise<void> {
  let inFlight = 0;
  let wake: (() => void) | undefined;
  let isOver = false;
  const over = (): void => {
    isOver = true;
    wake?.();
  };
  ended.then(over, over);
  port.on('message', () => {
    inFlight -= 1;
    wake?.();
  });
  const send = (message: Message, transfer: ArrayBuffer[] = []): void => {
    port.postMessage(message, transfer);
    Atomics.add(sent, 0, 1);
    Atomics.notify(sent, 0);
  };
  try {
    for (const { buffer, byteOffset, length } of pieces) {
      if (!(buffer instanceof ArrayBuffer)) throw kalamError('INTERNAL_ERROR', { reason: 'a piece in memory that is shared' });
      send({ kind: 'piece', bytes: new Uint8Array(buffer, byteOffset, length) }, [buffer]);
      inFlight += 1;
      while (inFlight >= piecesInFlightMax && !isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (isOver) return;
    }
    send({ kind: 'end' });
  } catch (error) {
    send({ kind: 'failed' });
    throw error;
  } finally {
    // Its failure is the business of whoever made the call; the port is closed when nothing is read from it any more.
    await ended.catch(() => undefined);
    port.close();
  }
}

/** The pieces that a sender sends, waiting for each. Throws INTERNAL_ERROR when the sender gave up, SHUTTING_DOWN when the process ends. */
export function* receivePacked({ port, sent }: PackedReceiver, gate: Pick<WriteGate, 'isShut'>): Generator<Buffer, void> {
  for (;;) {
    if (gate.isShut) throw kalamError('SHUTTING_DOWN');
    const seen = Atomics.load(sent, 0);
    const message: Message | undefined = receiveMessageOnPort(port)?.message;
    if (message === undefined) Atomics.wait(sent, 0, seen, lookMillis);
    else if (message.kind === 'end') return;
    else if (message.kind === 'failed') throw kalamError('INTERNAL_ERROR', { reason: 'a batch was not packed to its end' });
    else {
      yield Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.length);
      port.postMessage('written');
    }
  }
}

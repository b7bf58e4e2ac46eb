import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { KalamError, kalamError } from '@kalamdb/protocol';
import { type ClientMessage, clientMessageOf, readClientMessage } from './client-message.ts';
import type { FrameFormat } from './encoded-frame.ts';
import { readMsgpack } from './msgpack-reader.ts';

/** A message as it came from the socket, whole. */
export interface Incoming {
  readonly data: Buffer;
  readonly binary: boolean;
}

/** What a connection takes. */
export interface IncomingRules {
  readonly serialization: FrameFormat['serialization'];
  /** Bytes of a message, before and after it is inflated. */
  readonly bytesMax: number;
}

const gunzipped = promisify(gunzip);

/**
 * Understands a message. A text is JSON; it throws INVALID_INPUT, which ends the connection. A binary message is
 * MessagePack, plain or gzip, on a connection that speaks it; it throws BINARY_REFUSED, MSGPACK_REFUSED and
 * MESSAGE_TOO_LARGE, which are answered.
 */
export async function understood({ data, binary }: Incoming, { serialization, bytesMax }: IncomingRules): Promise<ClientMessage> {
  if (!binary) return readClientMessage(data.toString('utf8'));
  if (serialization === 'json') throw kalamError('BINARY_REFUSED');
  const value = readMsgpack(isGzip(data) ? await inflated(data, bytesMax) : data);
  try {
    return clientMessageOf(value);
  } catch (error) {
    throw error instanceof KalamError ? kalamError('MSGPACK_REFUSED', { reason: error.message }) : error;
  }
}

function isGzip(data: Buffer): boolean {
  return data[0] === 0x1f && data[1] === 0x8b;
}

/** Inflates in the thread pool, up to the bound and no further. */
async function inflated(data: Buffer, bytesMax: number): Promise<Buffer> {
  try {
    return await gunzipped(data, { maxOutputLength: bytesMax });
  } catch (cause) {
    const tooLarge = cause instanceof RangeError && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
    throw tooLarge ? kalamError('MESSAGE_TOO_LARGE', { bytesMax }) : kalamError('MSGPACK_REFUSED', { reason: 'broken gzip' }, { cause });
  }
}

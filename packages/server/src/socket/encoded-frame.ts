import { constants, gzip, gzipSync } from 'node:zlib';
import type { LiveFrame, SharedBody } from '@kalamdb/engine';
import { liveFrameText } from './server-frame.ts';

/** Frames from this size on are compressed (wire-protocol 4.3). */
export const GZIP_BYTES_MIN = 512;
/** Larger frames are compressed in the thread pool: compressing this much takes the event loop about 0.3 ms. */
const GZIP_INLINE_BYTES_MAX = 16_384;
const GZIP_OPTIONS = { level: constants.Z_BEST_SPEED };

/** A frame as it goes to the socket: a text frame, or a binary frame that holds gzip. */
export interface EncodedFrame {
  readonly data: Buffer;
  readonly binary: boolean;
}

/** A large frame that is being compressed. */
export interface PendingFrame {
  /** Its size before compression, which it counts as until it is ready. */
  readonly plainBytes: number;
  /** Never rejects. */
  readonly ready: Promise<EncodedFrame>;
}

interface SharedFrame {
  readonly subscriptionId: string;
  readonly plain: EncodedFrame;
  packed: EncodedFrame | undefined;
}

/**
 * The last encoding of a change. Clients name a subscription after its query, so that most receivers of one change want
 * the same bytes.
 */
const SHARED = new WeakMap<SharedBody, SharedFrame>();

/** A text frame of UTF-8 text. */
export function plainFrame(text: string): EncodedFrame {
  return { data: Buffer.from(text), binary: false };
}

/** The bytes of a live frame; `compressed` says whether the connection takes gzip. Pending only for large frames. */
export function encodeLiveFrame(frame: LiveFrame, compressed: boolean): EncodedFrame | PendingFrame {
  if (frame.kind !== 'change') return pack(plainFrame(liveFrameText(frame)), compressed);
  let shared = SHARED.get(frame.body);
  if (shared === undefined || shared.subscriptionId !== frame.subscriptionId) {
    shared = { subscriptionId: frame.subscriptionId, plain: plainFrame(liveFrameText(frame)), packed: undefined };
    SHARED.set(frame.body, shared);
  }
  if (!compressed) return shared.plain;
  const packed = shared.packed ?? pack(shared.plain, true);
  if ('data' in packed) shared.packed = packed;
  return packed;
}

/** Compresses a frame where the rule says so: from 512 bytes on, and only if it becomes smaller. */
export function pack(plain: EncodedFrame, compressed: boolean): EncodedFrame | PendingFrame {
  if (!compressed || plain.data.length < GZIP_BYTES_MIN) return plain;
  if (plain.data.length <= GZIP_INLINE_BYTES_MAX) return smaller(plain, gzipSync(plain.data, GZIP_OPTIONS));
  const ready = new Promise<EncodedFrame>((resolve) => {
    gzip(plain.data, GZIP_OPTIONS, (error, zipped) => resolve(error === null ? smaller(plain, zipped) : plain));
  });
  return { plainBytes: plain.data.length, ready };
}

function smaller(plain: EncodedFrame, zipped: Buffer): EncodedFrame {
  return zipped.length < plain.data.length ? { data: zipped, binary: true } : plain;
}

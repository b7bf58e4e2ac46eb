import { constants, gzip, gzipSync } from 'node:zlib';

/** Larger frames are compressed in the thread pool: compressing this much takes the event loop about 0.3 ms. */
export const GZIP_INLINE_BYTES_MAX = 16_384;
const GZIP_OPTIONS = { level: constants.Z_BEST_SPEED };

/** A frame as it goes to the socket: a text frame, or a binary frame that holds gzip or MessagePack. */
export interface EncodedFrame {
  readonly data: Buffer;
  readonly binary: boolean;
}

/** A large frame that is being compressed or written as MessagePack. */
export interface PendingFrame {
  /** Its size before compression, which it counts as until it is ready. */
  readonly plainBytes: number;
  /** Never rejects. */
  readonly ready: Promise<EncodedFrame>;
}

/** How a connection's frames are written. */
export interface FrameFormat {
  readonly serialization: 'json' | 'msgpack';
  /** Frames from this size on are compressed if that makes them smaller (wire-protocol 4.3); infinite: none is. */
  readonly gzipBytesMin: number;
}

/** A text frame of UTF-8 text. */
export function plainFrame(text: string): EncodedFrame {
  return { data: Buffer.from(text), binary: false };
}

/** Compresses a frame where the rule says so. */
export function pack(plain: EncodedFrame, { gzipBytesMin }: Pick<FrameFormat, 'gzipBytesMin'>): EncodedFrame | PendingFrame {
  if (plain.data.length < gzipBytesMin) return plain;
  if (plain.data.length <= GZIP_INLINE_BYTES_MAX) return smaller(plain, gzipSync(plain.data, GZIP_OPTIONS));
  const ready = new Promise<EncodedFrame>((resolve) => {
    gzip(plain.data, GZIP_OPTIONS, (error, zipped) => resolve(error === null ? smaller(plain, zipped) : plain));
  });
  return { plainBytes: plain.data.length, ready };
}

/** The smaller of a frame and its gzip. */
export function smaller(plain: EncodedFrame, zipped: Buffer): EncodedFrame {
  return zipped.length < plain.data.length ? { data: zipped, binary: true } : plain;
}

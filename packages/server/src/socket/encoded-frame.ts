import { constants, gzip, gzipSync } from 'node:zlib';

/** Larger frames are compressed in the thread pool: compressing this much takes the event loop about 0.3 ms. */
export const GZIP_INLINE_BYTES_MAX = 16_384;
const GZIP_OPTIONS = { level: constants.Z_BEST_SPEED };
/** First bytes of a WebSocket frame that is a whole message. */
const TEXT = 0x81;
const BINARY = 0x82;
/** Longest payload whose length stands in the second byte, and in two bytes more. */
const SHORT_MAX = 125;
const MEDIUM_MAX = 0xffff;

/**
 * A message as it goes to a socket, in one WebSocket frame (RFC 6455 5.2): text, or binary that holds gzip or MessagePack. The frame's
 * own head is part of it, so one that many get is the same bytes for all of them.
 *
 * | bytes | |
 * |---|---|
 * | 1 | `81` text, `82` binary |
 * | 1 | length of the payload up to 125; `7e`: it follows in 2 bytes; `7f`: in 8, big-endian |
 * | n | payload, not masked |
 */
export class EncodedFrame {
  readonly wire: Buffer;
  readonly #headBytes: number;

  private constructor(wire: Buffer, headBytes: number) {
    this.wire = wire;
    this.#headBytes = headBytes;
  }

  /** A text frame of UTF-8 text. */
  static ofText(text: string): EncodedFrame {
    const payloadBytes = Buffer.byteLength(text);
    const { wire, headBytes } = started(payloadBytes, false);
    wire.write(text, headBytes);
    return new EncodedFrame(wire, headBytes);
  }

  /** A frame whose payload is these bytes, one behind the other. */
  static ofBytes(parts: readonly Uint8Array[], { binary }: { readonly binary: boolean }): EncodedFrame {
    let payloadBytes = 0;
    for (const part of parts) payloadBytes += part.length;
    const { wire, headBytes } = started(payloadBytes, binary);
    let offset = headBytes;
    for (const part of parts) {
      wire.set(part, offset);
      offset += part.length;
    }
    return new EncodedFrame(wire, headBytes);
  }

  get binary(): boolean {
    return this.wire[0] === BINARY;
  }

  /** Bytes of the payload. */
  get length(): number {
    return this.wire.length - this.#headBytes;
  }

  /** The payload, not copied. */
  get data(): Buffer {
    return this.wire.subarray(this.#headBytes);
  }
}

function started(payloadBytes: number, binary: boolean): { readonly wire: Buffer; readonly headBytes: number } {
  const headBytes = payloadBytes <= SHORT_MAX ? 2 : payloadBytes <= MEDIUM_MAX ? 4 : 10;
  const wire = Buffer.allocUnsafe(headBytes + payloadBytes);
  wire[0] = binary ? BINARY : TEXT;
  if (headBytes === 2) wire[1] = payloadBytes;
  else if (headBytes === 4) {
    wire[1] = 126;
    wire.writeUInt16BE(payloadBytes, 2);
  } else {
    wire[1] = 127;
    wire.writeUInt16BE(0, 2);
    wire.writeUIntBE(payloadBytes, 4, 6);
  }
  return { wire, headBytes };
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

/** Compresses a frame where the rule says so. */
export function pack(plain: EncodedFrame, { gzipBytesMin }: Pick<FrameFormat, 'gzipBytesMin'>): EncodedFrame | PendingFrame {
  if (plain.length < gzipBytesMin) return plain;
  if (plain.length <= GZIP_INLINE_BYTES_MAX) return smaller(plain, [gzipSync(plain.data, GZIP_OPTIONS)]);
  const ready = new Promise<EncodedFrame>((resolve) => {
    gzip(plain.data, GZIP_OPTIONS, (error, zipped) => resolve(error === null ? smaller(plain, [zipped]) : plain));
  });
  return { plainBytes: plain.length, ready };
}

/** The smaller of a frame and its gzip, which comes in parts. */
export function smaller(plain: EncodedFrame, zipped: readonly Uint8Array[]): EncodedFrame {
  let bytes = 0;
  for (const part of zipped) bytes += part.length;
  return bytes < plain.length ? EncodedFrame.ofBytes(zipped, { binary: true }) : plain;
}

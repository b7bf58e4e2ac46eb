import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import { EncodedFrame, type FrameFormat, GZIP_INLINE_BYTES_MAX, type PendingFrame, smaller } from './encoded-frame.ts';

const DEFLATE_OPTIONS = { level: constants.Z_BEST_SPEED };
/** A stored block holds at most this much. */
const STORED_BYTES_MAX = 65_535;
/** RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system. */
const GZIP_HEADER: readonly number[] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const GZIP_TRAILER_BYTES = 8;
const STORED_HEAD_BYTES = 5;
/** Frames of different receivers that are kept while the tail is: as many as a connection may have subscriptions by default. */
const FRAMES_KEPT_MAX = 100;

/** What one receiver's frame says before the tail. */
export interface Receiver {
  readonly subscriptionId: string;
  readonly more?: boolean | undefined;
}

/** The frame of one receiver, and its gzip once somebody has wanted that. */
interface Made {
  readonly plain: EncodedFrame;
  packed: EncodedFrame | undefined;
}

/**
 * The part of a frame that all its receivers share: everything behind the subscription's id. It is compressed at most once
 * for all of them, although their frames begin differently: a gzip stream is put together from a stored block with what is
 * the receiver's own, and the shared part, deflated by itself.
 *
 * | bytes | |
 * |---|---|
 * | 10 | gzip header |
 * | 5 | stored block, not the last: `00`, length and its complement, little-endian |
 * | n | the receiver's head |
 * | m | deflated tail, up to its last block |
 * | 8 | CRC-32 of head and tail, their length, little-endian |
 */
export class SharedTail {
  /** Members of the frame's object that the tail holds; used by MessagePack, which counts them in front. */
  readonly members: number;
  readonly #plain: Buffer;
  readonly #binary: boolean;
  #deflated: Buffer | Promise<Buffer | undefined> | undefined;
  /** Clients name a subscription after its query or its number, so most receivers want the bytes of another. */
  readonly #made = new Map<string, Made>();
  /** The same for those with `more`. */
  #madeWithMore: Map<string, Made> | undefined;

  constructor(plain: Buffer, { binary, members }: { readonly binary: boolean; readonly members: number }) {
    this.#plain = plain;
    this.#binary = binary;
    this.members = members;
  }

  /** The whole frame for a receiver; `head` makes its first bytes from the tail. */
  frame(
    { subscriptionId: id, more = false }: Receiver,
    head: (tail: SharedTail) => Buffer,
    { gzipBytesMin }: Pick<FrameFormat, 'gzipBytesMin'>,
  ): EncodedFrame | PendingFrame {
    if (more) this.#madeWithMore ??= new Map();
    const kept = (more ? this.#madeWithMore : undefined) ?? this.#made;
    let made = kept.get(id);
    if (made === undefined) {
      made = { plain: EncodedFrame.ofBytes([head(this), this.#plain], { binary: this.#binary }), packed: undefined };
      if (kept.size < FRAMES_KEPT_MAX) kept.set(id, made);
    }
    const { plain, packed } = made;
    const headBytes = plain.length - this.#plain.length;
    if (plain.length < gzipBytesMin || headBytes > STORED_BYTES_MAX) return plain;
    if (packed !== undefined) return packed;
    this.#deflated ??= this.#deflate();
    if (this.#deflated instanceof Promise) {
      const ready = this.#deflated.then((deflated) => (deflated === undefined ? plain : packedFrame(plain, headBytes, deflated)));
      return { plainBytes: plain.length, ready };
    }
    made.packed = packedFrame(plain, headBytes, this.#deflated);
    return made.packed;
  }

  #deflate(): Buffer | Promise<Buffer | undefined> {
    if (this.#plain.length <= GZIP_INLINE_BYTES_MAX) return deflateRawSync(this.#plain, DEFLATE_OPTIONS);
    return new Promise((resolve) => {
      deflateRaw(this.#plain, DEFLATE_OPTIONS, (error, deflated) => {
        this.#deflated = error === null ? deflated : undefined;
        resolve(this.#deflated);
      });
    });
  }
}

function packedFrame(plain: EncodedFrame, headBytes: number, deflated: Buffer): EncodedFrame {
  const { data } = plain;
  const front = Buffer.allocUnsafe(GZIP_HEADER.length + STORED_HEAD_BYTES);
  front.set(GZIP_HEADER);
  let offset = front.writeUInt8(0, GZIP_HEADER.length);
  offset = front.writeUInt16LE(headBytes, offset);
  front.writeUInt16LE(headBytes ^ 0xffff, offset);
  const trailer = Buffer.allocUnsafe(GZIP_TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(data), 0);
  trailer.writeUInt32LE(data.length >>> 0, 4);
  return smaller(plain, [front, data.subarray(0, headBytes), deflated, trailer]);
}

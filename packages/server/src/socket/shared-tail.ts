import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import { type EncodedFrame, type FrameFormat, GZIP_INLINE_BYTES_MAX, type PendingFrame, smaller } from './encoded-frame.ts';

const DEFLATE_OPTIONS = { level: constants.Z_BEST_SPEED };
/** A stored block holds at most this much. */
const STORED_BYTES_MAX = 65_535;
/** RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system. */
const GZIP_HEADER: readonly number[] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const GZIP_TRAILER_BYTES = 8;
const STORED_HEAD_BYTES = 5;

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
  /** The last frame made: clients name a subscription after its query, so most receivers want the same bytes. */
  #last: { readonly id: string; readonly plain: EncodedFrame; packed: EncodedFrame | undefined } | undefined;

  constructor(plain: Buffer, { binary, members }: { readonly binary: boolean; readonly members: number }) {
    this.#plain = plain;
    this.#binary = binary;
    this.members = members;
  }

  /** The whole frame for a receiver; `head` makes its first bytes from the tail. */
  frame(id: string, head: (tail: SharedTail) => Buffer, { gzipBytesMin }: Pick<FrameFormat, 'gzipBytesMin'>): EncodedFrame | PendingFrame {
    if (this.#last?.id !== id) {
      this.#last = { id, plain: { data: Buffer.concat([head(this), this.#plain]), binary: this.#binary }, packed: undefined };
    }
    const { plain, packed } = this.#last;
    const headBytes = plain.data.length - this.#plain.length;
    if (plain.data.length < gzipBytesMin || headBytes > STORED_BYTES_MAX) return plain;
    if (packed !== undefined) return packed;
    this.#deflated ??= this.#deflate();
    if (this.#deflated instanceof Promise) {
      const ready = this.#deflated.then((deflated) => (deflated === undefined ? plain : packedFrame(plain, headBytes, deflated)));
      return { plainBytes: plain.data.length, ready };
    }
    this.#last.packed = packedFrame(plain, headBytes, this.#deflated);
    return this.#last.packed;
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
  const zipped = Buffer.allocUnsafe(GZIP_HEADER.length + STORED_HEAD_BYTES + headBytes + deflated.length + GZIP_TRAILER_BYTES);
  zipped.set(GZIP_HEADER);
  let offset = zipped.writeUInt8(0, GZIP_HEADER.length);
  offset = zipped.writeUInt16LE(headBytes, offset);
  offset = zipped.writeUInt16LE(headBytes ^ 0xffff, offset);
  offset += plain.data.copy(zipped, offset, 0, headBytes);
  offset += deflated.copy(zipped, offset);
  offset = zipped.writeUInt32LE(crc32(plain.data), offset);
  zipped.writeUInt32LE(plain.data.length >>> 0, offset);
  return smaller(plain, zipped);
}

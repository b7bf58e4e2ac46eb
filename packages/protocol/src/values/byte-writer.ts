import { type KalamError, kalamError } from '../errors/kalam-error.ts';
import { isWellFormedText } from './unicode-text.ts';

/** Results are cut from slabs of this many bytes: an allocation of their own costs more than encoding them. */
const slabBytes = 8192;

const utf8 = new TextEncoder();
/** Texts up to this many UTF-16 units are encoded by a loop; calling the native encoder alone costs as much as 500 of its turns. */
const unitLoopMax = 400;

const eightBytes = new ArrayBuffer(8);
const asBytes = new Uint8Array(eightBytes);
const asFloat = new Float32Array(eightBytes);
const asDouble = new Float64Array(eightBytes);
const asBigint = new BigInt64Array(eightBytes);
const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * Appends little-endian fields. Made once and used for many values: `finish` returns what was written and starts anew. Not for
 * use by two encodings at once.
 */
export class ByteWriter {
  #bytes = new Uint8Array(slabBytes);
  /** Where the value that is being written begins. */
  #start = 0;
  #length = 0;

  /**
   * Everything written since the last call. Results are never written to again, but small ones share a slab of 8 KiB: copy
   * them before their buffer is transferred or sent to another thread.
   */
  finish(): Uint8Array {
    if (this.#bytes.length === slabBytes) {
      const result = this.#bytes.subarray(this.#start, this.#length);
      this.#start = this.#length;
      return result;
    }
    const result = this.#bytes.slice(this.#start, this.#length);
    this.#bytes = new Uint8Array(slabBytes);
    this.#start = 0;
    this.#length = 0;
    return result;
  }

  /** Forgets what was written since the last result, for example by an encoding that failed half way. */
  reset(): void {
    this.#length = this.#start;
  }

  /** One byte: the low eight bits of the value. */
  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** An unsigned 32-bit integer, 1 to 5 bytes, seven bits each, lowest first; the high bit says that more follow. */
  varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** A signed 32-bit integer as the varint of its zigzag form: 0, -1, 1, -2 become 0, 1, 2, 3. */
  zigzag(value: number): void {
    this.varint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  /** An unsigned integer below 2^40, 5 bytes. */
  uint40(value: number): void {
    this.#reserve(5);
    const low = value >>> 0;
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#length++] = low >>> shift;
    this.#bytes[this.#length++] = value / 0x1_0000_0000;
  }

  /** The low 64 bits of the value, two's complement, 8 bytes. */
  int64(value: bigint): void {
    asBigint[0] = value;
    this.#appendScratch(8);
  }

  /** A 32-bit float, 4 bytes. */
  float(value: number): void {
    asFloat[0] = value;
    this.#appendScratch(4);
  }

  /** A 64-bit float, 8 bytes. */
  double(value: number): void {
    asDouble[0] = value;
    this.#appendScratch(8);
  }

  /** The bytes themselves, without their length. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The varint of the text's length in UTF-8, then the UTF-8. Half a surrogate pair is INTERNAL_ERROR. */
  text(text: string): void {
    this.#reserve(5 + 3 * text.length);
    const lengthAt = this.#length;
    const start = lengthAt + varintBytes(text.length);
    const written = text.length <= unitLoopMax ? this.#putUnits(text, start) : this.#putText(text, start);
    // a text that is not ASCII may need one more byte for its length than was left for it
    const moved = lengthAt + varintBytes(written);
    if (moved !== start) this.#bytes.copyWithin(moved, start, start + written);
    this.varint(written);
    this.#length = moved + written;
  }

  #putText(text: string, start: number): number {
    if (!isWellFormedText(text)) throw notWellFormed();
    return utf8.encodeInto(text, this.#bytes.subarray(start)).written;
  }

  #putUnits(text: string, start: number): number {
    const bytes = this.#bytes;
    let end = start;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) {
        bytes[end++] = unit;
      } else if (unit < 0x800) {
        bytes[end++] = 0xc0 | (unit >> 6);
        bytes[end++] = 0x80 | (unit & 0x3f);
      } else if ((unit & 0xf800) !== 0xd800) {
        bytes[end++] = 0xe0 | (unit >> 12);
        bytes[end++] = 0x80 | ((unit >> 6) & 0x3f);
        bytes[end++] = 0x80 | (unit & 0x3f);
      } else {
        const point = text.codePointAt(i++) ?? 0;
        if (point < 0x1_0000) throw notWellFormed();
        bytes[end++] = 0xf0 | (point >> 18);
        bytes[end++] = 0x80 | ((point >> 12) & 0x3f);
        bytes[end++] = 0x80 | ((point >> 6) & 0x3f);
        bytes[end++] = 0x80 | (point & 0x3f);
      }
    }
    return end - start;
  }

  #appendScratch(bytes: number): void {
    this.#reserve(bytes);
    for (let i = 0; i < bytes; i++) this.#bytes[this.#length++] = asBytes[littleEndianHost ? i : bytes - 1 - i] ?? 0;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const written = this.#length - this.#start;
    const needed = written + bytes;
    const larger = new Uint8Array(needed <= slabBytes ? slabBytes : Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(this.#start, this.#length));
    this.#bytes = larger;
    this.#start = 0;
    this.#length = written;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}

function notWellFormed(): KalamError {
  return kalamError('INTERNAL_ERROR', { reason: 'a text with half a surrogate pair reached a codec' });
}

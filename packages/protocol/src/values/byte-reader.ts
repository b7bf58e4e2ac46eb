import { kalamError } from '../errors/kalam-error.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Texts up to this many bytes are put together here while they are ASCII; a native call costs more. */
const asciiLoopMax = 24;

const eightBytes = new ArrayBuffer(8);
const asBytes = new Uint8Array(eightBytes);
const asFloat = new Float32Array(eightBytes);
const asDouble = new Float64Array(eightBytes);
const asBigint = new BigInt64Array(eightBytes);
const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * Reads what a `ByteWriter` wrote. Every read that would pass the end, and every malformed field, throws DAMAGED_DATA.
 * Results share no memory with the bytes read.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #offset = 0;

  /** `where` names the encoding in errors. */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** A DAMAGED_DATA error that names the encoding and the offset. */
  damage(reason: string): Error {
    return kalamError('DAMAGED_DATA', { where: this.#where, reason: `${reason} at byte ${this.#offset}` });
  }

  byte(): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) throw this.damage('unexpected end');
    this.#offset++;
    return value;
  }

  /** An unsigned 32-bit integer of 1 to 5 bytes. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw this.damage('an integer longer than 32 bits');
  }

  /** A signed 32-bit integer, as the writer's `zigzag`. */
  zigzag(): number {
    const value = this.varint();
    return (value >>> 1) ^ -(value & 1);
  }

  /** An unsigned integer below 2^40, 5 bytes. */
  uint40(): number {
    const start = this.#advance(5);
    const bytes = this.#bytes;
    let value = 0;
    for (let i = 4; i >= 0; i--) value = value * 0x100 + (bytes[start + i] ?? 0);
    return value;
  }

  /** A signed 64-bit integer, 8 bytes. */
  int64(): bigint {
    this.#loadScratch(8);
    return asBigint[0] ?? 0n;
  }

  /** A 32-bit float, 4 bytes. */
  float(): number {
    this.#loadScratch(4);
    return asFloat[0] ?? 0;
  }

  /** A 64-bit float, 8 bytes. */
  double(): number {
    this.#loadScratch(8);
    return asDouble[0] ?? 0;
  }

  /** The next bytes, copied: the store may reuse the memory they are in. */
  raw(length: number): Uint8Array {
    const start = this.#advance(length);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start, start + length));
    return copy;
  }

  /** A length and that many bytes of UTF-8. */
  text(): string {
    const length = this.varint();
    const start = this.#advance(length);
    return length <= asciiLoopMax ? (this.#shortAscii(start, length) ?? this.#anyText(start, length)) : this.#anyText(start, length);
  }

  #shortAscii(start: number, length: number): string | undefined {
    const bytes = this.#bytes;
    let text = '';
    for (let i = start; i < start + length; i++) {
      const byte = bytes[i] ?? 0x80;
      if (byte > 0x7f) return undefined;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #anyText(start: number, length: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw this.damage('text that is not UTF-8');
    }
  }

  #loadScratch(bytes: number): void {
    const start = this.#advance(bytes);
    for (let i = 0; i < bytes; i++) asBytes[littleEndianHost ? i : bytes - 1 - i] = this.#bytes[start + i] ?? 0;
  }

  /** Steps over `length` bytes and returns where they start. */
  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw this.damage('unexpected end');
    this.#offset = start + length;
    return start;
  }
}

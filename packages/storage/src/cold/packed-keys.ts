import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { RowKey } from '../contract.ts';

/** Packed keys as they go to another thread; transfer both buffers. */
export interface PackedKeysImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the key of each row ends. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

/** The keys of a segment's rows in their order: the bytes of the keys and four for each. */
export class PackedKeys {
  readonly #bytes: Buffer;
  readonly #ends: Uint32Array<ArrayBuffer>;

  constructor({ bytes, ends }: PackedKeysImage) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#ends = ends;
  }

  get length(): number {
    return this.#ends.length;
  }

  /** What another thread makes the same keys of; they share their memory with these. */
  get image(): PackedKeysImage {
    return { bytes: new Uint8Array(this.#bytes.buffer as ArrayBuffer, this.#bytes.byteOffset, this.#bytes.byteLength), ends: this.#ends };
  }

  /** The key of a row; the row must be there. */
  keyAt(row: number): RowKey {
    const start = row === 0 ? 0 : (this.#ends[row - 1] ?? 0);
    return this.#bytes.toString('latin1', start, this.#ends[row]) as RowKey;
  }

  /** The row of a key; `undefined` when it is not among them. */
  rowOf(key: RowKey): number | undefined {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keyAt(middle) < key) low = middle + 1;
      else high = middle;
    }
    return low < this.#ends.length && this.keyAt(low) === key ? low : undefined;
  }

  /** In order. */
  *[Symbol.iterator](): Generator<RowKey, undefined> {
    for (let row = 0; row < this.#ends.length; row += 1) yield this.keyAt(row);
  }
}

/** Packs keys that come in order. */
export class KeyPacker {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;
  #ends = new Uint32Array(4096);
  #count = 0;
  #last: RowKey | undefined;

  get count(): number {
    return this.#count;
  }

  /** Throws INTERNAL_ERROR when the key does not come after the last one. */
  add(key: RowKey): void {
    if (this.#last !== undefined && key <= this.#last)
      throw kalamError('INTERNAL_ERROR', { reason: 'the rows of a segment are not in key order' });
    this.#last = key;
    if (this.#used + key.length > this.#bytes.length) this.#grow(key.length);
    if (this.#count === this.#ends.length) {
      const ends = new Uint32Array(2 * this.#count);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    this.#used += this.#bytes.write(key, this.#used, 'latin1');
    this.#ends[this.#count] = this.#used;
    this.#count += 1;
  }

  /** The keys, alone in their memory. */
  finish(): PackedKeys {
    const bytes = new Uint8Array(this.#used);
    bytes.set(this.#bytes.subarray(0, this.#used));
    return new PackedKeys({ bytes, ends: this.#ends.slice(0, this.#count) });
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#used + bytes));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}

import type { Buffer } from 'node:buffer';

/** Bytes of a key that are sorted by at a time. */
const DIGIT_BYTES = 3;
/** Up to here rows are sorted one by one: it costs less than setting up anything else. */
const FEW_ROWS = 12;
/** Which half of a pair counts more depends on the machine. */
const [LOW, HIGH] = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** The keys of the rows of a batch: where each of them lies. */
export interface PlacedKeys {
  readonly blocks: readonly Buffer[];
  /** Of each row the index of its block, and a number that does not matter here. */
  readonly places: Int32Array;
  /** Of each row where its key begins in the block, and the bytes of that. */
  readonly keys: Int32Array;
}

/** The order of the keys of two rows that are alike up to `depth`. */
export function compareKeys({ blocks, places, keys }: PlacedKeys, a: number, b: number, depth: number): number {
  const [aStart, bStart, aBytes, bBytes] = [keys[2 * a] ?? 0, keys[2 * b] ?? 0, keys[2 * a + 1] ?? 0, keys[2 * b + 1] ?? 0];
  const [aBlock, bBlock] = [blocks[places[2 * a] ?? 0], blocks[places[2 * b] ?? 0]];
  const shared = Math.min(aBytes, bBytes);
  for (let at = depth; at < shared; at += 1) {
    const difference = (aBlock?.[aStart + at] ?? 0) - (bBlock?.[bStart + at] ?? 0);
    if (difference !== 0) return difference;
  }
  return aBytes - bBytes;
}

/**
 * Sorts rows by their keys, and those of one key by their numbers. Three bytes of the keys at a time: put before the row's number in 64
 * bits they are sorted by the runtime's own sort of numbers, which calls no function of ours.
 */
export class KeyOrder {
  readonly #keys: PlacedKeys;
  #words: Uint32Array = new Uint32Array(0);
  #pairs: BigUint64Array = new BigUint64Array(0);

  constructor(keys: PlacedKeys) {
    this.#keys = keys;
  }

  /** Sorts `rows` in place; they must be in rising order. */
  sort(rows: Int32Array): void {
    if (this.#pairs.length < rows.length) {
      this.#pairs = new BigUint64Array(rows.length);
      this.#words = new Uint32Array(this.#pairs.buffer);
    }
    for (let at = 0; at < rows.length; at += 1) this.#words[2 * at + LOW] = rows[at] ?? 0;
    this.#sort(0, rows.length, 0);
    for (let at = 0; at < rows.length; at += 1) rows[at] = this.#row(at);
  }

  #row(at: number): number {
    return this.#words[2 * at + LOW] ?? 0;
  }

  /** Sorts a range of rows whose keys are alike up to `depth`. */
  #sort(from: number, to: number, depth: number): void {
    if (to - from <= FEW_ROWS) {
      this.#sortFew(from, to, depth);
      return;
    }
    const shared = this.#sharedBytes(from, to, depth);
    for (let at = from; at < to; at += 1) this.#words[2 * at + HIGH] = this.#digit(this.#row(at), shared);
    this.#pairs.subarray(from, to).sort();
    for (let first = from; first < to; ) {
      const digit = this.#words[2 * first + HIGH] ?? 0;
      let next = first + 1;
      while (next < to && this.#words[2 * next + HIGH] === digit) next += 1;
      // Where fewer bytes were left the keys have ended: they are one key, and its rows are in order.
      if (next - first > 1 && (digit & 0xff) === DIGIT_BYTES) this.#sort(first, next, shared + DIGIT_BYTES);
      first = next;
    }
  }

  #sortFew(from: number, to: number, depth: number): void {
    for (let at = from + 1; at < to; at += 1) {
      const row = this.#row(at);
      let place = at;
      for (; place > from && compareKeys(this.#keys, this.#row(place - 1), row, depth) > 0; place -= 1) {
        this.#words[2 * place + LOW] = this.#row(place - 1);
      }
      this.#words[2 * place + LOW] = row;
    }
  }

  /** Bytes that the keys of a range begin with alike; at least `depth`. */
  #sharedBytes(from: number, to: number, depth: number): number {
    const { blocks, places, keys } = this.#keys;
    const first = this.#row(from);
    const [firstBlock, firstStart] = [blocks[places[2 * first] ?? 0], keys[2 * first] ?? 0];
    let shared = keys[2 * first + 1] ?? 0;
    for (let index = from + 1; index < to && shared > depth; index += 1) {
      const row = this.#row(index);
      const [rowBlock, rowStart] = [blocks[places[2 * row] ?? 0], keys[2 * row] ?? 0];
      shared = Math.min(shared, keys[2 * row + 1] ?? 0);
      for (let at = depth; at < shared; at += 1) if (firstBlock?.[firstStart + at] !== rowBlock?.[rowStart + at]) shared = at;
    }
    return shared;
  }

  /** Three bytes of a key from `depth` on, and in the lowest byte how many of them it has. */
  #digit(row: number, depth: number): number {
    const { blocks, places, keys } = this.#keys;
    const source = blocks[places[2 * row] ?? 0];
    const left = Math.min((keys[2 * row + 1] ?? 0) - depth, DIGIT_BYTES);
    const at = (keys[2 * row] ?? 0) + depth;
    const high = left > 0 ? (source?.[at] ?? 0) << 24 : 0;
    const middle = left > 1 ? (source?.[at + 1] ?? 0) << 16 : 0;
    const low = left > 2 ? (source?.[at + 2] ?? 0) << 8 : 0;
    return (high | middle | low | left) >>> 0;
  }
}

import type { Clock } from '../environment/clock.ts';
import { kalamError } from '../errors/kalam-error.ts';

/** 2024-01-01T00:00:00Z in milliseconds since 1970. */
export const SNOWFLAKE_EPOCH_MILLIS = 1_704_067_200_000;

const nodeBits = 10;
const counterBits = 12;
const nodeMax = 2 ** nodeBits - 1;
const counterMax = 2 ** counterBits - 1;
const millisMax = 2 ** 41 - 1;
const millisShift = BigInt(nodeBits + counterBits);

/**
 * Ids that rise strictly and carry the time: `next = max(last + 1, now)`.
 *
 * | bits, highest first | content |
 * |---|---|
 * | 1 | 0 |
 * | 41 | milliseconds since {@link SNOWFLAKE_EPOCH_MILLIS} |
 * | 10 | node, 0–1023 |
 * | 12 | counter |
 *
 * Worked values: (1 ms, node 0, counter 0) is 4194304; (0 ms, node 1, counter 2) is 4098; (2026-02-01T00:00:00Z, node 1, counter 0) is 276139553587204096.
 *
 * A full counter advances the millisecond and never touches the node bits, so ids may run ahead of the clock; they never go
 * back with it. A restart passes the last id it knows of and continues above it, whatever node made it.
 */
export class SnowflakeSequence {
  readonly #clock: Clock;
  readonly #node: number;
  #last = 0n;
  #millis = 0;
  /** Counter of the last id within #millis; -1: none yet. */
  #counter = -1;
  /** The id of (#millis, node, counter 0). */
  #base = 0n;

  constructor(options: { readonly clock: Clock; readonly node: number; readonly last?: bigint | undefined }) {
    if (!Number.isInteger(options.node) || options.node < 0 || options.node > nodeMax) {
      throw kalamError('CONFIG_INVALID', { reason: `node ${options.node} is not between 0 and ${nodeMax}` });
    }
    this.#clock = options.clock;
    this.#node = options.node;
    this.#continueAbove(options.last ?? 0n);
  }

  /** The last id made, or the highest one known of. */
  get last(): bigint {
    return this.#last;
  }

  /** An id above all before it. INTERNAL_ERROR when the 41 bits of milliseconds are used up, in 2093. */
  next(): bigint {
    const now = Math.min(Math.floor(this.#clock.now()) - SNOWFLAKE_EPOCH_MILLIS, millisMax);
    if (now > this.#millis) this.#setMillis(now);
    else if (this.#counter === counterMax) this.#setMillis(this.#millis + 1);
    this.#counter++;
    this.#last = this.#base + BigInt(this.#counter);
    return this.#last;
  }

  /** `count` (1 or more) ids at once, as so many calls of {@link next} in this millisecond would give them: later ids are above them all. */
  take(count: number): SnowflakeRun {
    this.next();
    const run = new SnowflakeRun(this.#millis, this.#node, this.#counter);
    const end = this.#counter + count - 1;
    this.#setMillis(this.#millis + Math.floor(end / (counterMax + 1)));
    this.#counter = end % (counterMax + 1);
    this.#last = this.#base + BigInt(this.#counter);
    return run;
  }

  /** Makes every later id higher than `seq`. A lower one than the last has no effect. */
  raise(seq: bigint): void {
    if (seq > this.#last) this.#continueAbove(seq);
  }

  #continueAbove(seq: bigint): void {
    const low = Number(BigInt.asUintN(nodeBits + counterBits, seq));
    const node = low >>> counterBits;
    const millis = Number(seq >> millisShift);
    // an id of a higher node in this millisecond is above all that this node could still make in it
    this.#setMillis(node > this.#node ? millis + 1 : millis);
    if (node === this.#node) this.#counter = low & counterMax;
    this.#last = seq;
  }

  #setMillis(millis: number): void {
    if (millis < 0 || millis > millisMax) throw kalamError('INTERNAL_ERROR', { reason: `no snowflake id for millisecond ${millis}` });
    this.#millis = millis;
    this.#counter = -1;
    this.#base = baseOf(millis, this.#node);
  }
}

/** Ids that follow each other, from {@link SnowflakeSequence.take}. */
export class SnowflakeRun {
  readonly #millis: number;
  readonly #node: number;
  readonly #counter: number;
  /** The id of counter 0 in the millisecond that was asked for last. */
  #base: bigint;
  #baseMillis: number;

  constructor(millis: number, node: number, counter: number) {
    this.#millis = millis;
    this.#node = node;
    this.#counter = counter;
    this.#base = baseOf(millis, node);
    this.#baseMillis = millis;
  }

  /** The id at a place, 0 for the first. */
  at(index: number): bigint {
    const counter = this.#counter + index;
    const millis = this.#millis + Math.floor(counter / (counterMax + 1));
    if (millis !== this.#baseMillis) {
      this.#base = baseOf(millis, this.#node);
      this.#baseMillis = millis;
    }
    return this.#base + BigInt(counter & counterMax);
  }
}

const baseOf = (millis: number, node: number): bigint => (BigInt(millis) << millisShift) | BigInt(node << counterBits);

/** The highest id that {@link snowflakeMillis} says was made at or before a time; 0n before the epoch. */
export function lastSnowflakeOf(millis: number): bigint {
  const past = Math.floor(millis) - SNOWFLAKE_EPOCH_MILLIS;
  return past < 0 ? 0n : (BigInt(past + 1) << millisShift) - 1n;
}

/** When the id was made, in milliseconds since 1970 (its counter may have run ahead of the clock). */
export function snowflakeMillis(seq: bigint): number {
  return Number(seq >> millisShift) + SNOWFLAKE_EPOCH_MILLIS;
}

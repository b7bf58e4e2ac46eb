import { type Clock, systemClock } from '@kalamdb/protocol';
import { invalidArgument } from '../client-error.ts';

/** Milliseconds since 1970 at which sequence ids begin: 2024-01-01T00:00:00Z. */
const EPOCH_MILLIS = 1_704_067_200_000;
const INTEGER = /^-?\d+$/;

/**
 * The position of a row version in the order of commits: a signed 64-bit number, `milliseconds since 2024 << 22 | worker << 12 | counter`.
 * Every version of every row has one and they only rise, so the last one seen is the point from which a subscription resumes.
 *
 * | text | millis | worker | counter |
 * |---|---|---|---|
 * | `0` | 1704067200000 | 0 | 0 |
 * | `4198400` | 1704067200001 | 1 | 0 |
 * | `316847529014263808` | 1779609537659 | 432 | 0 |
 */
export class SeqId {
  readonly #value: bigint;

  private constructor(value: bigint) {
    this.#value = value;
  }

  /** Wraps a sequence id in any of its spellings; throws `INVALID_ARGUMENT` for anything that is not an integer. */
  static from(value: bigint | number | string | SeqId): SeqId {
    if (value instanceof SeqId) return value;
    if (typeof value === 'bigint') return new SeqId(value);
    if (typeof value === 'number' ? Number.isSafeInteger(value) : INTEGER.test(value)) return new SeqId(BigInt(value));
    throw invalidArgument('SeqId', `'${value}' is not an exact integer`);
  }

  /** The position before every row. */
  static zero(): SeqId {
    return new SeqId(0n);
  }

  /** The exact value. */
  toBigInt(): bigint {
    return this.#value;
  }

  /** The nearest double: inexact above 2^53. */
  toNumber(): number {
    return Number(this.#value);
  }

  /** Decimal text. */
  toString(): string {
    return this.#value.toString();
  }

  /** Decimal text, so that `JSON.stringify` keeps it exact. */
  toJSON(): string {
    return this.toString();
  }

  /** When the version was written, in milliseconds since 1970. */
  timestampMillis(): number {
    return Number(this.#value >> 22n) + EPOCH_MILLIS;
  }

  /** When the version was written, in whole seconds since 1970. */
  timestampSeconds(): number {
    return Math.floor(this.timestampMillis() / 1000);
  }

  /** When the version was written. */
  toDate(): Date {
    return new Date(this.timestampMillis());
  }

  /** Seconds since the version was written, with a fraction. */
  ageSeconds(clock: Clock = systemClock): number {
    return (clock.now() - this.timestampMillis()) / 1000;
  }

  /** Which node gave it out, 0 … 1023. */
  workerId(): number {
    return Number((this.#value >> 12n) & 0x3ffn);
  }

  /** The counter within the millisecond, 0 … 4095. */
  sequence(): number {
    return Number(this.#value & 0xfffn);
  }

  /** Whether both name the same version. */
  equals(other: SeqId): boolean {
    return this.#value === other.#value;
  }

  /** Below, equal or above zero, as for `Array.prototype.sort`. */
  compareTo(other: SeqId): number {
    return this.#value < other.#value ? -1 : this.#value > other.#value ? 1 : 0;
  }
}

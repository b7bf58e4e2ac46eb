import { ulid as makeUlid } from 'ulid';
import type { Clock } from '../environment/clock.ts';
import type { Random } from '../environment/random.ts';

const randomDigits = 16;

/** A ULID: 26 digits of Crockford's base 32, 48 bits of milliseconds, then 80 random bits. Ids of one millisecond have no order among them. */
export function ulid(clock: Clock, random: Random): string {
  const bytes = random.bytes(randomDigits);
  let next = 0;
  return makeUlid(clock.now(), () => (bytes[next++ % randomDigits] ?? 0) / 256);
}

import { v7 } from 'uuid';
import type { Clock } from '../environment/clock.ts';
import type { Random } from '../environment/random.ts';

/** A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits. Ids of one millisecond have no order among them. */
export function uuidV7(clock: Clock, random: Random): string {
  return v7({ msecs: clock.now(), random: random.bytes(16) });
}

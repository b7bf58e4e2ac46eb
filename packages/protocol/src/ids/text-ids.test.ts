import { expect, test } from 'vitest';
import { systemRandom } from '../environment/random.ts';
import { ulid } from './ulid.ts';
import { uuidV7 } from './uuid-v7.ts';

const at = (millis: number): { now(): number; elapsed(): number } => ({ now: () => millis, elapsed: () => 0 });
const seeded = { bytes: (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => 0x10 * i), uniform: (): number => 0.5 };

test('both come from the given clock and randomness alone', () => {
  expect(uuidV7(at(1_738_317_600_000), seeded)).toBe(uuidV7(at(1_738_317_600_000), seeded));
  expect(ulid(at(1_469_918_176_385), seeded)).toBe('01ARYZ6S41YWTRPMJGECA86420');
});

test('form: RFC 9562 version 7, and 26 digits of Crockford base 32', () => {
  expect(uuidV7(at(1_738_317_600_000), systemRandom)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(Number.parseInt(uuidV7(at(1_738_317_600_000), systemRandom).replace('-', '').slice(0, 12), 16)).toBe(1_738_317_600_000);
  expect(ulid(at(1_738_317_600_000), systemRandom)).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
});

test('ids of a later millisecond sort later; ids of one millisecond differ', () => {
  for (const make of [uuidV7, ulid]) {
    const ids = Array.from({ length: 200 }, (_, i) => make(at(1_738_317_600_000 + i), systemRandom));
    expect(ids).toStrictEqual([...ids].sort());
    const together = Array.from({ length: 1_000 }, () => make(at(1_738_317_600_000), systemRandom));
    expect(new Set(together).size).toBe(1_000);
  }
});

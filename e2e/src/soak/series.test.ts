import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { flatness, floors, type Point } from './series.ts';

const MINUTE = 60_000;

/** An hour of samples around 100, with noise, outliers and a growth in an hour. */
function hour(seed: number, growth: number): readonly Point[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: 120 }, (_, index) => {
    const outlier = random.integer(20) === 0 ? 80 : 0;
    return { at: (index * MINUTE) / 2, value: 100 + (growth * index) / 120 + random.uniform() * 10 + outlier };
  });
}

describe('a series of samples', () => {
  it('is flat however it jumps, and is not when it grows steadily, by whatever noise that is hidden', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const allowance = { sharePerHour: 0.1, least: 1 };
      expect(flatness(hour(seed, 0), allowance).flat, `seed ${seed}`).toBe(true);
      expect(flatness(hour(seed, -50), allowance).flat, `seed ${seed}`).toBe(true);
      const growing = flatness(hour(seed, 40), allowance);
      expect(growing.flat, `seed ${seed}`).toBe(false);
      expect(growing.perHour).toBeGreaterThan(30);
      expect(growing.perHour).toBeLessThan(50);
    }
  });

  it('has a floor that a saw does not move', () => {
    const saw = Array.from({ length: 60 }, (_, index) => ({ at: index * MINUTE, value: 10 + (index % 7) * 20 }));
    expect(floors(saw, 10).map(({ value }) => value)).toEqual([10, 10, 10, 10, 10, 10]);
    const leaking = saw.map(({ at, value }, index) => ({ at, value: value + index }));
    expect(flatness(floors(leaking, 10), { sharePerHour: 0.1, least: 1 }).flat).toBe(false);
  });

  it('is flat when it grows by less than means anything', () => {
    const points = [0, 1, 2, 3].map((value) => ({ at: value * MINUTE, value }));
    expect(flatness(points, { sharePerHour: 0.1, least: 60 }).flat).toBe(true);
    expect(flatness(points, { sharePerHour: 0.1, least: 59 }).flat).toBe(false);
    expect(flatness([], { sharePerHour: 0.1, least: 0 })).toMatchObject({ median: 0, trend: 0, flat: true });
  });
});

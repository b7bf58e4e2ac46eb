import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { flipBytes } from './byte-flips.ts';

const seed = Date.now() % 1_000_000;

describe(`a wrong bit in a data directory (seed ${seed})`, () => {
  it('is named or harmless: never a wrong row, never the end of the process', async () => {
    const report = await flipBytes({ count: 20, goOn: true, random: new SeededRandom(seed) });
    expect(report.wrong).toEqual([]);
    expect(Math.min(report.named, report.harmless)).toBeGreaterThan(0);
    expect(report.tornEnd).toBeLessThanOrEqual(report.named);
  });
});

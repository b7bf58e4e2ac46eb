import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { flipBytes } from './byte-flips.ts';
import { flipColdBytes } from './cold-flips.ts';

const seed = Date.now() % 1_000_000;

describe(`a wrong bit in a data directory (seed ${seed})`, () => {
  it('is named or harmless: never a wrong row, never the end of the process', async () => {
    const report = await flipBytes({ count: 20, goOn: true, random: new SeededRandom(seed) });
    expect(report.wrong).toEqual([]);
    expect(Math.min(report.named, report.harmless)).toBeGreaterThan(0);
    expect(report.tornEnd).toBeLessThanOrEqual(report.named);
  });

  it('of a segment, its bloom filter or the copy of a manifest too, each by its name', async () => {
    const report = await flipColdBytes({ stride: 600, random: new SeededRandom(seed) });
    expect(report.wrong).toEqual([]);
    expect(report.named).toBeGreaterThan(3);
  }, 60_000);
});

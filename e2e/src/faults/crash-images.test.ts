import { describe, expect, it } from 'vitest';
import { exploreCrashImages } from './crash-images.ts';

/** Every run of the suite looks at other images; a failure names its seed. */
const seed = Date.now() % 1_000_000;

describe('what a power cut leaves of the log', () => {
  it('holds everything that was acknowledged, in order, and nothing that failed, also when recovery is cut', async () => {
    const report = await exploreCrashImages({ seed, images: 2_500, recoveryCutsOneIn: 12 });
    expect(report.images).toBeGreaterThanOrEqual(2_500);
    expect(Math.min(report.recoveryCuts, report.acknowledged, report.beyondDurable)).toBeGreaterThan(20);
    expect(report.failed).toBeGreaterThan(0);
  });
});

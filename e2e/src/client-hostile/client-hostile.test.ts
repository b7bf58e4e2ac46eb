import { describe, expect, it } from 'vitest';
import { runHostile } from './run.ts';

describe('clients behind a hostile network', () => {
  it('show what a SELECT answers whenever they say that they have caught up', async () => {
    const counts = await runHostile({ seed: 1, rounds: 4 });
    const faults = ['cut', 'halfOpen', 'delay', 'split', 'refuse', 'all half-open', 'kills', 'restarts'];
    for (const what of [
      ...faults,
      'disconnects',
      'tokens given',
      'comparisons',
      'appended rows told',
      'caught-up',
      'stale',
      'queries answered',
    ]) {
      expect(counts[what] ?? 0, what).toBeGreaterThan(0);
    }
  }, 120_000);
});

import { describe, expect, it } from 'vitest';
import { runKills } from './run.ts';

describe('a server that is killed again and again under writers', () => {
  it.each([
    { seed: 1, durability: 'sync' },
    { seed: 2, durability: 'relaxed' },
  ] as const)(
    'keeps what it acknowledged, whole (seed $seed, $durability)',
    async (run) => {
      const counts = await runKills({ ...run, rounds: 5 });
      const kills = ['kills during writes', 'kills right after an acknowledgement', 'kills in recovery'];
      for (const what of [...kills, 'acknowledged', 'unanswered', 'reads beside the writers', 'subscriber caught up']) {
        expect(counts[what] ?? 0, what).toBeGreaterThan(0);
      }
    },
    180_000,
  );
});

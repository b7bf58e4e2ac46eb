import { describe, expect, it } from 'vitest';
import { uncovered } from './coverage.ts';
import { runLiveOracle } from './run.ts';

/** Runs at most, until everything that must happen has happened. */
const SEEDS_MAX = 4;
const STATEMENTS = 560;

describe('subscribers of a server under writers, upkeep, kills and a network that fails', () => {
  it('are told every change of their queries, once and in order, and show what a SELECT answers', async () => {
    const counts: Record<string, number> = {};
    for (let seed = 1; seed <= SEEDS_MAX && (seed === 1 || uncovered(counts).length > 0); seed++) {
      for (const [what, count] of Object.entries(await runLiveOracle({ seed, statements: STATEMENTS }))) {
        counts[what] = (counts[what] ?? 0) + count;
      }
    }
    expect(uncovered(counts)).toEqual([]);
  }, 300_000);
});

import { describe, expect, it } from 'vitest';
import { runKills } from './run.ts';

/** Servers that are killed at most, five times each. */
const SERVERS_MAX = 4;

describe('a server that is killed again and again under writers', () => {
  it.each([
    { seed: 1, durability: 'sync', logFileBytes: undefined },
    // The files of the log turn over many times in each round.
    { seed: 2, durability: 'relaxed', logFileBytes: 65_536 },
  ] as const)(
    'keeps what it acknowledged, whole (seed $seed, $durability, log files of $logFileBytes bytes)',
    async (run) => {
      const kills = ['kills during writes', 'kills right after an acknowledgement', 'kills in recovery'];
      const definitions = ['create namespace', 'create table', 'drop table'].map((label) => `definition: ${label}`);
      const all = [
        ...kills,
        'acknowledged',
        'unanswered',
        'reads beside the writers',
        'subscriber caught up',
        'segments',
        'flush completed',
        'compact completed',
        'kills in a backup',
        'backups verified after a kill',
        'restores',
        ...definitions,
      ];
      const counts: Record<string, number> = {};
      const missing = (): readonly string[] => all.filter((what) => (counts[what] ?? 0) === 0);
      // Where a kill falls is chance: another server is killed until each kind of kill was seen.
      for (let server = 0; server < SERVERS_MAX && (server === 0 || missing().length > 0); server++) {
        const found = await runKills({ ...run, seed: run.seed + server * 100, rounds: 5 });
        for (const [what, count] of Object.entries(found)) counts[what] = (counts[what] ?? 0) + count;
        counts['starts'] = (counts['starts'] ?? 0) + 2 + (found['rounds'] ?? 0) + (found['kills in recovery'] ?? 0);
      }
      expect(missing()).toEqual([]);
      // Each start begins one; what is above came of files that were full.
      if (run.logFileBytes !== undefined) expect(counts['log files begun'] ?? 0).toBeGreaterThan(counts['starts'] ?? 0);
    },
    300_000,
  );
});

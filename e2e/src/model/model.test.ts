import { describe, expect, it } from 'vitest';
import { runModel } from './run.ts';

describe('random statements of several users, with kills and restarts in between', () => {
  it.each([
    { seed: 1, durability: 'sync', moveEvery: undefined },
    { seed: 2, durability: 'relaxed', moveEvery: 10 },
  ] as const)(
    'answer as the model does (seed $seed, $durability, moves of rows every $moveEvery statements)',
    async ({ seed, durability, moveEvery }) => {
      const counts = await runModel({ seed, durability, statements: 400, killEvery: 100, moveEvery });
      const statements = ['insert', 'update', 'delete', 'select', 'aggregate', 'key'];
      const moves = moveEvery === undefined ? [] : ['flush completed', 'compact completed'];
      const transactions = ['commit', 'rollback', 'failed transaction'];
      for (const what of [...statements, ...transactions, ...moves, 'error', 'count', 'rows', 'kill']) {
        expect(counts[what] ?? 0, what).toBeGreaterThan(0);
      }
    },
    120_000,
  );
});

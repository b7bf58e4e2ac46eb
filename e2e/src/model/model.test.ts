import { describe, expect, it } from 'vitest';
import { runModel } from './run.ts';

describe('random statements of several users, with kills and restarts in between', () => {
  it.each([
    { seed: 1, durability: 'sync' },
    { seed: 2, durability: 'relaxed' },
  ] as const)(
    'answer as the model does (seed $seed, $durability)',
    async ({ seed, durability }) => {
      const counts = await runModel({ seed, durability, statements: 400, killEvery: 100 });
      const statements = ['insert', 'update', 'delete', 'select', 'aggregate', 'key'];
      const transactions = ['commit', 'rollback', 'failed transaction'];
      for (const what of [...statements, ...transactions, 'error', 'count', 'rows', 'kill']) {
        expect(counts[what] ?? 0, what).toBeGreaterThan(0);
      }
    },
    120_000,
  );
});

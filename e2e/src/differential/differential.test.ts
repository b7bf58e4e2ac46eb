import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runDifferential } from './run.ts';

const QUERIES = 2000;
const PLACED_QUERIES = 300;

test(`both executors answer ${QUERIES} queries alike`, async () => {
  const { queries, refused, differences } = await runDifferential({ seed: 1, queries: QUERIES, differencesMax: 5 });
  expect(differences).toEqual([]);
  expect(queries).toBe(QUERIES);
  expect([...refused.keys()]).toContain('DIVISION_BY_ZERO');
}, 120_000);

test.each(['cold', 'half'] as const)(
  `%s rows are answered as hot ones are`,
  async (placement) => {
    const directory = mkdtempSync(join(tmpdir(), 'kalamdb-differential-'));
    try {
      const { differences, queries } = await runDifferential({ seed: 1, queries: PLACED_QUERIES, differencesMax: 5, directory, placement });
      expect(differences).toEqual([]);
      expect(queries).toBe(PLACED_QUERIES);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
  120_000,
);

import { expect, test } from 'vitest';
import { runDifferential } from './run.ts';

const QUERIES = 2000;

test(`both executors answer ${QUERIES} queries alike`, async () => {
  const { queries, refused, differences } = await runDifferential({ seed: 1, queries: QUERIES, differencesMax: 5 });
  expect(differences).toEqual([]);
  expect(queries).toBe(QUERIES);
  expect([...refused.keys()]).toContain('DIVISION_BY_ZERO');
}, 120_000);

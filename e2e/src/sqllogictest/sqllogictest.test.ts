import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { playTestFile, type SqlRunner } from '@kalamdb/testing';
import { expect, test } from 'vitest';
import { InProcessRunners } from './in-process.ts';
import { HttpRunners } from './over-http.ts';
import { PlacedRunner } from './placement.ts';

const corpus = readFileSync(join(import.meta.dirname, 'own-corpus.slt'), 'utf8');

async function outcome(runner: SqlRunner): Promise<unknown> {
  const { passed, failed, skipped } = await playTestFile(corpus, runner);
  return { passed, failed, skipped: Object.fromEntries(skipped) };
}

const EXPECTED = { passed: 25, failed: [], skipped: { 'for another database': 1, 'after halt': 1 } };

test('the own corpus plays in this process', async () => {
  const runners = await InProcessRunners.open();
  try {
    expect(await outcome(await runners.runner())).toEqual(EXPECTED);
  } finally {
    await runners.stop();
  }
});

test.each(['cold', 'half'] as const)('the own corpus plays in this process with %s rows', async (placement) => {
  const runners = await InProcessRunners.open();
  const counts = { flushes: 0, moved: 0, segments: 0, rewritten: 0 };
  try {
    const runner = await runners.runner();
    expect(await outcome(new PlacedRunner(runner, { namespace: runner.namespace, placement, counts }))).toEqual(EXPECTED);
  } finally {
    await runners.stop();
  }
  expect(counts.moved).toBeGreaterThan(4);
  expect(counts.rewritten > 0).toBe(placement === 'half');
});

test('the own corpus plays over HTTP', async () => {
  const runners = await HttpRunners.start();
  try {
    expect(await outcome(await runners.runner())).toEqual(EXPECTED);
  } finally {
    await runners.stop();
  }
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { playTestFile, type SqlRunner } from '@kalamdb/testing';
import { expect, test } from 'vitest';
import { InProcessRunners } from './in-process.ts';
import { HttpRunners } from './over-http.ts';

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
    await runners.close();
  }
});

test('the own corpus plays over HTTP', async () => {
  const runners = await HttpRunners.start();
  try {
    expect(await outcome(await runners.runner())).toEqual(EXPECTED);
  } finally {
    await runners.stop();
  }
});

import { expect, it } from 'vitest';
import { killCatalogChanges } from './run.ts';

it('a kill between any two writes of a catalog change leaves the old state or the new one', async () => {
  const report = await killCatalogChanges();
  expect(report.problems).toEqual([]);
  expect(report.images).toBeGreaterThanOrEqual(2 * report.statements);
  expect(report.before).toBeGreaterThanOrEqual(report.statements);
  expect(report.after).toBeGreaterThanOrEqual(report.statements);
}, 120_000);

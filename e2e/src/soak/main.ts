// `npm run soak`: an hour of churn; prints a line for each sample and the verdicts, and fails when something grows or is left.

import { parseArgs } from 'node:util';
import { runSoak } from './run.ts';
import type { Sample } from './sampler.ts';

const { values: flags } = parseArgs({ options: { minutes: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } } });

let header = false;
const cell = (text: string): string => text.padStart(10);
const shown = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(2));

function print(sample: Sample): void {
  const names = Object.keys(sample) as (keyof Sample)[];
  if (!header) console.log(names.map((name) => name.padStart(Math.max(10, name.length))).join('  '));
  header = true;
  console.log(names.map((name) => cell(shown(sample[name])).padStart(Math.max(10, name.length))).join('  '));
}

const { verdicts, orphans, counts } = await runSoak({ minutes: Number(flags.minutes), seed: Number(flags.seed), sampled: print });
console.log();
for (const [name, { median, perHour, trend, flat }] of verdicts) {
  const figures = `median ${shown(median)}, ${perHour >= 0 ? '+' : ''}${shown(perHour)} per hour, trend ${trend.toFixed(2)}`;
  console.log(`${flat ? 'flat ' : 'GROWS'}  ${name}: ${figures}`);
}
console.log(orphans.length === 0 ? 'nothing is left of anybody' : `left: ${orphans.join(', ')}`);
console.log(counts);
process.exitCode = orphans.length > 0 || verdicts.some(([, { flat }]) => !flat) ? 1 : 0;

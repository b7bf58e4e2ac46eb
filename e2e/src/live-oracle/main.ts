// `npm run live-oracle`: the long form of the oracle of live queries; the statements are shared among the seeds.

import { parseArgs } from 'node:util';
import { uncovered } from './coverage.ts';
import { runLiveOracle } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    statements: { type: 'string', default: '100000' },
    minutes: { type: 'string' },
  },
});
const first = Number(flags.seed);
const seeds = Number(flags.seeds);
const statements = Math.ceil(Number(flags.statements) / seeds);
const deadline = flags.minutes === undefined ? undefined : performance.now() + Number(flags.minutes) * 60_000;
const totals: Record<string, number> = {};
for (let seed = first; deadline === undefined ? seed < first + seeds : performance.now() < deadline; seed++) {
  const counts = await runLiveOracle({ seed, statements }).catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
  for (const [what, count] of Object.entries(counts)) totals[what] = (totals[what] ?? 0) + count;
  totals['seeds'] = (totals['seeds'] ?? 0) + 1;
  console.log(`seed ${seed}: no difference in ${counts['statements']} statements, ${counts['kills'] ?? 0} kills`);
}
console.log('no difference', totals);
const missing = uncovered(totals);
if (missing.length > 0) {
  console.error(`never happened: ${missing.join(', ')}`);
  process.exitCode = 1;
}

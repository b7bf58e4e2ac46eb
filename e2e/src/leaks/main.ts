// `npm run leaks -- --seed 1 --seeds 20 --statements 20000`: the long form of the leak oracle; the statements are shared among the seeds.

import { parseArgs } from 'node:util';
import { runLeaks } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '20' },
    statements: { type: 'string', default: '20000' },
  },
});
const first = Number(flags.seed);
const seeds = Number(flags.seeds);
for (let seed = first; seed < first + seeds; seed++) {
  const { leaks, scanned, seen, statements } = await runLeaks({ seed, statements: Math.ceil(Number(flags.statements) / seeds) });
  const characters = [...scanned.values()].reduce((sum, count) => sum + count, 0);
  console.log(`seed ${seed}: ${statements} statements, ${characters} characters, ${seen} values where they may be, ${leaks.length} leaks`);
  for (const leak of leaks) console.log(leak);
  if (leaks.length > 0) process.exitCode = 1;
}

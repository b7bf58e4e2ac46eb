// `npm run model -- --seeds 20 --statements 20000`: the long form of the model test; the statements are shared among the seeds. Every other two seeds have
// rows that move into segments; `--placement hot`: none, `--placement cold`: all.

import { parseArgs } from 'node:util';
import { runModel } from './run.ts';

/** Statements between two flushes or compactions, on average. */
const MOVE_EVERY = 10;

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    statements: { type: 'string', default: '20000' },
    first: { type: 'string', default: '1' },
    placement: { type: 'string', default: 'any' },
  },
});
const seeds = Number(flags.seeds);
const statements = Math.ceil(Number(flags.statements) / seeds);
const totals: Record<string, number> = {};
for (let seed = Number(flags.first); seed < Number(flags.first) + seeds; seed++) {
  const durability = seed % 2 === 0 ? 'relaxed' : 'sync';
  const moves = flags.placement === 'cold' || (flags.placement !== 'hot' && seed % 4 > 1);
  const counts = await runModel({ seed, durability, statements, killEvery: 150, moveEvery: moves ? MOVE_EVERY : undefined });
  for (const [what, count] of Object.entries(counts)) totals[what] = (totals[what] ?? 0) + count;
  console.log(`seed ${seed} (${durability}): no difference in ${statements} statements, ${counts['kill'] ?? 0} kills`);
}
console.log(`${seeds} seeds, ${seeds * statements} statements, no difference`, totals);

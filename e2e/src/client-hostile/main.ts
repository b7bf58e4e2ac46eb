// `npm run hostile`: the long form of the run of clients behind a hostile network.

import { parseArgs } from 'node:util';
import { runHostile } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '12' },
  },
});
const first = Number(flags.seed);
for (let seed = first; seed < first + Number(flags.seeds); seed++) {
  const counts = await runHostile({ seed, rounds: Number(flags.rounds) });
  console.log(`seed ${seed}: what was shown equalled the SELECT at every point of rest`, counts);
}

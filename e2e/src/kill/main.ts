// `npm run kill -- --rounds 500`: the long form of the kill test; half of the rounds in each durability mode. `--placement hot` leaves
// out the flushes and compactions beside the writers.

import { parseArgs } from 'node:util';
import { runKills } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    durability: { type: 'string' },
    'log-file-bytes': { type: 'string' },
    placement: { type: 'string', default: 'any' },
  },
});
const modes = (['sync', 'relaxed'] as const).filter((mode) => flags.durability === undefined || flags.durability === mode);
const rounds = Math.ceil(Number(flags.rounds) / modes.length);
for (const durability of modes) {
  const logFileBytes = flags['log-file-bytes'] === undefined ? undefined : Number(flags['log-file-bytes']);
  const counts = await runKills({ seed: Number(flags.seed), rounds, durability, logFileBytes, hotOnly: flags.placement === 'hot' });
  console.log(`${durability}: nothing lost, nothing half there`, counts);
}

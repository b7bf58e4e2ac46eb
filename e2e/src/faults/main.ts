/**
 * The long runs of this folder, each only when it is asked for:
 * `node e2e/dist/faults/main.js [--images 100000] [--flips 5000 | --flips all] [--calls 300] [--replay 1000000]
 * [--rows 10000000] [--partitions 100000] [--cold 1] [--operation flush] [--first 0] [--cold-flips 1] [--seed n]`.
 */

import { parseArgs } from 'node:util';
import { SeededRandom } from '@kalamdb/testing';
import { flipBytes } from './byte-flips.ts';
import { flipColdBytes } from './cold-flips.ts';
import { coldOperations } from './cold-operations.ts';
import { sweepCold } from './cold-sweep.ts';
import { exploreCrashImages } from './crash-images.ts';
import { flipEveryByte } from './every-byte.ts';
import { compiler } from './failing-calls.ts';
import { sweepFaults } from './fault-sweep.ts';
import { measureReplay, measureRows } from './sizes.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    flips: { type: 'string' },
    calls: { type: 'string' },
    replay: { type: 'string' },
    rows: { type: 'string' },
    partitions: { type: 'string' },
    cold: { type: 'string' },
    operation: { type: 'string' },
    first: { type: 'string' },
    'cold-flips': { type: 'string' },
    seed: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
console.log(`seed ${seed}`);
if (values.images !== undefined) console.log(await exploreCrashImages({ seed, images: Number(values.images), recoveryCutsOneIn: 10 }));
if (values.flips !== undefined) {
  if (values.flips === 'all') console.log(await flipEveryByte(seed));
  else console.log(await flipBytes({ count: Number(values.flips), goOn: true, random: new SeededRandom(seed) }));
}
if (values.calls !== undefined) {
  const cc = compiler();
  const firsts = Array.from({ length: Number(values.calls) }, (_, at) => at);
  if (cc === undefined) console.log('calls are left out: no C compiler, or no preloading on this system');
  else for (const driver of ['storage', 'engine'] as const) console.log(await sweepFaults({ cc, driver, firsts, counts: [1, 3, 8] }));
}
const coldFlips = values['cold-flips'];
if (coldFlips !== undefined) console.log(await flipColdBytes({ stride: Number(coldFlips), random: new SeededRandom(seed) }));
if (values.cold !== undefined) {
  const cc = compiler();
  const operations = values.operation === undefined ? Object.keys(coldOperations) : [values.operation];
  if (cc === undefined) console.log('cold is left out: no C compiler, or no preloading on this system');
  else
    for (const operation of operations)
      console.log(await sweepCold({ cc, operation, stride: Number(values.cold), first: Number(values.first ?? 0), onRun: console.log }));
}
if (values.replay !== undefined) {
  for (const partitions of [1, 10_000]) console.log(await measureReplay(Number(values.replay), partitions));
}
if (values.rows !== undefined) console.log(await measureRows(Number(values.rows), 1));
if (values.partitions !== undefined) console.log(await measureRows(Number(values.partitions) * 10, Number(values.partitions)));

// `npm run malformed -- --count 100000 --seed 1`: the long form of the test with malformed requests and frames. A failure names
// its case; `--seed n --only case` plays that one alone.

import { parseArgs } from 'node:util';
import { runMalformed } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const seed = Number(flags.seed);
const only = flags.only === undefined ? undefined : Number(flags.only);
console.log(`seed ${seed}, ${only === undefined ? `${flags.count} cases` : `case ${only}`}`);
const begun = Date.now();
const { outcomes, failures, memory } = await runMalformed({
  seed,
  count: Number(flags.count),
  only,
  onProgress: (done) => console.log(`${done} cases, ${Math.round((Date.now() - begun) / 1000)} s`),
});
for (const [what, count] of [...outcomes].sort()) console.log(String(count).padStart(8), what);
const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
for (const { heapUsed, external, rss, arrayBuffers } of memory)
  console.log(
    `after a collection: heap ${mebibytes(heapUsed)} MiB, external ${mebibytes(external)} MiB (${mebibytes(arrayBuffers)} MiB buffers), resident ${mebibytes(rss)} MiB`,
  );
for (const failure of failures) console.log(`WRONG ${failure}`);
console.log(failures.length === 0 ? 'every case came out as it must' : `${failures.length} failures`);
process.exitCode = failures.length === 0 ? 0 : 1;

// `npm run sqllogictest -- --dir ../shared/sqllogictest`: plays a corpus of sqllogictest files, over HTTP unless `--in-process` is given. `--placement
// cold` or `half` moves rows into segments before they are read.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { InProcessRunners } from './in-process.ts';
import { HttpRunners } from './over-http.ts';
import { PLACEMENTS } from './placement.ts';
import { groupLines, runCorpus } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    dir: { type: 'string', default: '../shared/sqllogictest' },
    only: { type: 'string', default: '' },
    sample: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    placement: { type: 'string', default: 'hot' },
    'in-process': { type: 'boolean', default: false },
  },
});
const placement = PLACEMENTS.find((name) => name === flags.placement);
if (placement === undefined) throw new Error(`--placement is one of ${PLACEMENTS.join(', ')}`);
const start = performance.now();
const runners = flags['in-process'] ? await InProcessRunners.open() : await HttpRunners.start();
try {
  const { files, placed } = await runCorpus({
    directory: flags.dir,
    sample: Number(flags.sample),
    seed: Number(flags.seed),
    only: flags.only,
    placement,
    newRunner: () => runners.runner(),
    onFile: (path, { passed, failed, skipped }) =>
      console.log(`${path}: ${passed} passed, ${failed.length} failed, ${sum([...skipped.values()])} skipped`),
  });
  for (const line of groupLines(files)) console.log(line);
  const passed = sum([...files.values()].map((report) => report.passed));
  const failed = sum([...files.values()].map((report) => report.failed.length));
  if (placement !== 'hot') console.log(`${placement}:`, placed);
  console.log(`${passed} passed, ${failed} failed in ${Math.round((performance.now() - start) / 1000)} s (seed ${flags.seed})`);
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify({ passed, failed }));
  // Nothing is proved where nothing was moved.
  process.exitCode = failed === 0 && (placement === 'hot' || placed.moved > 0) ? 0 : 1;
} finally {
  await runners.stop();
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

// `npm run sqllogictest -- --dir ../shared/sqllogictest`: plays a corpus of sqllogictest files, over HTTP unless `--in-process` is given.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { InProcessRunners } from './in-process.ts';
import { HttpRunners } from './over-http.ts';
import { groupLines, runCorpus } from './run.ts';

const { values: flags } = parseArgs({
  options: {
    dir: { type: 'string', default: '../shared/sqllogictest' },
    only: { type: 'string', default: '' },
    sample: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    'in-process': { type: 'boolean', default: false },
  },
});
const start = performance.now();
const runners = flags['in-process'] ? await InProcessRunners.open() : await HttpRunners.start();
try {
  const reports = await runCorpus({
    directory: flags.dir,
    sample: Number(flags.sample),
    seed: Number(flags.seed),
    only: flags.only,
    newRunner: () => runners.runner(),
    onFile: (path, { passed, failed, skipped }) =>
      console.log(`${path}: ${passed} passed, ${failed.length} failed, ${sum([...skipped.values()])} skipped`),
  });
  for (const line of groupLines(reports)) console.log(line);
  const passed = sum([...reports.values()].map((report) => report.passed));
  const failed = sum([...reports.values()].map((report) => report.failed.length));
  console.log(`${passed} passed, ${failed} failed in ${Math.round((performance.now() - start) / 1000)} s (seed ${flags.seed})`);
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify({ passed, failed }));
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  await ('stop' in runners ? runners.stop() : runners.close());
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

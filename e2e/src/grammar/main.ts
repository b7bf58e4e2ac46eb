// `npm run grammar -- --seed 1 --statements 100000`: the long form of the grammar test. `--seed n --statements 500` plays one world again.

import { parseArgs } from 'node:util';
import { runGrammar } from './run.ts';

const { values: flags } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, statements: { type: 'string', default: '100000' } },
});
const report = await runGrammar({
  seed: Number(flags.seed),
  statements: Number(flags.statements),
  onWorld: (seed, { statements, refused, problems }) =>
    console.log(`seed ${seed}: ${statements} statements, ${refused} refused, ${problems.length} problems`),
});
console.log('kinds', Object.fromEntries([...report.kinds].sort()));
console.log('codes', Object.fromEntries([...report.codes].sort()));
console.log(`slowest ${Math.round(report.slowestMillis)} ms: ${report.slowest}`);
for (const problem of report.problems) console.log(problem);
process.exitCode = report.problems.length === 0 ? 0 : 1;

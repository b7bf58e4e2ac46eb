// `npm run differential -- --seed 1 --queries 100000`: the long form of the differential test. `--seed n --queries 50` plays one table again.
// `--judge <folder of PostgreSQL's programs> [--general]` holds one executor against PostgreSQL instead.

import { parseArgs } from 'node:util';
import { runJudge } from './judge.ts';
import { runDifferential } from './run.ts';

/** Tables between two lines of progress. */
const PROGRESS_TABLES = 100;

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    queries: { type: 'string', default: '100000' },
    differences: { type: 'string', default: '100' },
    judge: { type: 'string' },
    general: { type: 'boolean', default: false },
  },
});
const seed = Number(flags.seed);
const queries = Number(flags.queries);
if (flags.judge === undefined) await compareExecutors();
else await judgeOne(flags.judge);

async function judgeOne(binaries: string): Promise<void> {
  const judged = await runJudge({ seed, queries, binaries, general: flags.general });
  for (const [kind, { count, shown }] of [...judged].sort(([, a], [, b]) => b.count - a.count)) {
    console.log(`${count} ${kind}`);
    for (const text of shown) console.log(`  ${text}`);
  }
  console.log(`${queries} queries from seed ${seed}, executor ${flags.general ? 'general' : 'compiled'}`);
}

async function compareExecutors(): Promise<void> {
  const report = await runDifferential({
    seed,
    queries,
    differencesMax: Number(flags.differences),
    onTable: (table, played) => {
      if (table % PROGRESS_TABLES === 0) console.log(`seed ${table}: ${played.queries} queries, ${played.differences.length} differences`);
    },
  });
  const kinds = new Map<string, number>();
  for (const { what } of report.differences) {
    const kind = what.split(/[:(]/)[0] ?? '';
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  for (const { seed, what, sql, table } of report.differences)
    console.log(`seed ${seed}: ${what}\n  ${sql}\n  ${table.join(';\n  ').slice(0, 600)}`);
  console.log('refused by both', Object.fromEntries([...report.refused].sort()));
  console.log(`errors that differ as the order of evaluation allows: ${report.orderDependent}`);
  console.log('differences', Object.fromEntries(kinds));
  console.log(`${report.queries} queries from seed ${flags.seed}, ${report.differences.length} differences`);
  process.exitCode = report.differences.length === 0 ? 0 : 1;
}

// `npm run differential -- --seed 1 --queries 100000`: the long form of the differential test. `--seed n --queries 50` plays one table again.
// `--directory <new folder>` keeps the tables on the disk, where the general executor reads them in its own thread.
// `--directory <new folder> --placement cold|half` holds tables whose rows lie in segments against hot ones.
// Its tables are shared out over as many processes as there are cores, or `--processes n`.
// `--judge <folder of PostgreSQL's programs> [--general]` holds one executor against PostgreSQL instead.
// `--record <folder of PostgreSQL's programs>` asks PostgreSQL for the answers to the statements of user-statements.txt and stores them there.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { playInProcesses, type SentReport } from './in-processes.ts';
import { runJudge } from './judge.ts';
import { recordUserStatements } from './record.ts';
import { type DifferentialReport, runDifferential, TABLE_QUERIES } from './run.ts';

/** Tables between two lines of progress. */
const PROGRESS_TABLES = 100;

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    queries: { type: 'string', default: '100000' },
    differences: { type: 'string', default: '100' },
    directory: { type: 'string' },
    placement: { type: 'string' },
    processes: { type: 'string', default: String(availableParallelism()) },
    record: { type: 'string' },
    judge: { type: 'string' },
    general: { type: 'boolean', default: false },
  },
});
const seed = Number(flags.seed);
const queries = Number(flags.queries);
if (flags.record !== undefined) console.log(`${recordUserStatements(flags.record)} statements`);
else if (flags.judge !== undefined) await judgeOne(flags.judge);
else await compareExecutors();

async function judgeOne(binaries: string): Promise<void> {
  const judged = await runJudge({ seed, queries, binaries, general: flags.general });
  for (const [kind, { count, shown }] of [...judged].sort(([, a], [, b]) => b.count - a.count)) {
    console.log(`${count} ${kind}`);
    for (const text of shown) console.log(`  ${text}`);
  }
  console.log(`${queries} queries from seed ${seed}, executor ${flags.general ? 'general' : 'compiled'}`);
}

async function compareExecutors(): Promise<void> {
  const started = performance.now();
  const differencesMax = Number(flags.differences);
  const processes = Number(flags.processes);
  const { directory } = flags;
  const placement = flags.placement === 'cold' || flags.placement === 'half' ? flags.placement : undefined;
  const report =
    processes > 1 && directory === undefined
      ? await playInProcesses({ seed, queries, differencesMax, processes, tableQueries: TABLE_QUERIES, program: import.meta.filename })
      : await runDifferential({
          seed,
          queries,
          differencesMax,
          directory,
          placement,
          onTable: (table, played) => {
            if (table % PROGRESS_TABLES !== 0) return;
            console.log(`seed ${table}: ${played.queries} queries, ${played.differences.length} differences`);
          },
        });
  if (process.send === undefined) show(report, performance.now() - started);
  else process.send({ ...report, refused: [...report.refused] } satisfies SentReport);
}

function show(report: DifferentialReport, millis: number): void {
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
  const perSecond = Math.round((report.queries * 1000) / millis);
  console.log(`${report.queries} queries from seed ${flags.seed}, ${report.differences.length} differences, ${perSecond} queries/s`);
  process.exitCode = report.differences.length === 0 ? 0 : 1;
}

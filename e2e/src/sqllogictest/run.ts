import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileReport, playTestFile, type RecordFailure, SeededRandom, type SqlRunner } from '@kalamdb/testing';
import { PlacedRunner, type Placement, type PlacementCounts } from './placement.ts';

/** Failures of one cause that a report shows. */
const SHOWN_FAILURES_MAX = 3;
/** Characters of a statement that a report shows. */
const SHOWN_CHARS_MAX = 600;

/** What runs the statements of one file: each has a namespace of its own. */
export interface FileRunner extends SqlRunner {
  readonly namespace: string;
}

/** What came of a corpus. */
export interface CorpusReport {
  /** By path. */
  readonly files: ReadonlyMap<string, FileReport>;
  readonly placed: PlacementCounts;
}

/** Which files are played, and how many of their queries. */
export interface CorpusRun {
  readonly directory: string;
  /** Part of the queries that is played, chosen by the seed; 1: all. */
  readonly sample: number;
  readonly seed: number;
  /** Part of the path of the files that are played; '' for all. */
  readonly only: string;
  readonly placement: Placement;
  newRunner(): Promise<FileRunner>;
  readonly onFile: (path: string, report: FileReport) => void;
}

/** Plays every `.test` file below a folder. */
export async function runCorpus({ directory, sample, seed, only, placement, newRunner, onFile }: CorpusRun): Promise<CorpusReport> {
  const random = new SeededRandom(seed);
  const placed: PlacementCounts = { flushes: 0, moved: 0, segments: 0, rewritten: 0 };
  const reports = new Map<string, FileReport>();
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.test') && path.includes(only),
  );
  for (const path of paths.sort()) {
    const text = readFileSync(join(directory, path), 'utf8');
    const runner = await newRunner();
    const placing = placement === 'hot' ? runner : new PlacedRunner(runner, { namespace: runner.namespace, placement, counts: placed });
    const report = await playTestFile(text, placing, () => sample >= 1 || random.uniform() < sample);
    reports.set(path, report);
    onFile(path, report);
  }
  return { files: reports, placed };
}

/** The failures and the skipped records of a corpus in groups, as lines. */
export function groupLines(reports: CorpusReport['files']): readonly string[] {
  const failures = new Map<string, { readonly path: string; readonly failure: RecordFailure }[]>();
  const skipped = new Map<string, number>();
  for (const [path, report] of reports) {
    for (const failure of report.failed) failures.set(failure.cause, [...(failures.get(failure.cause) ?? []), { path, failure }]);
    for (const [reason, count] of report.skipped) skipped.set(reason, (skipped.get(reason) ?? 0) + count);
  }
  const lines = [...skipped].map(([reason, count]) => `skipped ${count}: ${reason}`);
  for (const [cause, group] of [...failures].sort(([, a], [, b]) => b.length - a.length)) {
    lines.push(`failed ${group.length}: ${cause}`);
    for (const { path, failure } of group.slice(0, SHOWN_FAILURES_MAX)) {
      lines.push(`  ${path}:${failure.line}: ${failure.detail}`, `    ${failure.sql.replace(/\s+/g, ' ').slice(0, SHOWN_CHARS_MAX)}`);
    }
  }
  return lines;
}

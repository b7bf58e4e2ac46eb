import { fork } from 'node:child_process';
import type { DifferentialReport, QueryDifference } from './run.ts';

/** A report as it goes from one process to another. */
export interface SentReport {
  readonly queries: number;
  readonly refused: readonly (readonly [string, number])[];
  readonly orderDependent: number;
  readonly differences: readonly QueryDifference[];
}

/** What is shared out. */
export interface SharedRun {
  readonly seed: number;
  readonly queries: number;
  /** Queries over one table; seeds are those of tables. */
  readonly tableQueries: number;
  readonly differencesMax: number;
  readonly processes: number;
  /** The program that plays a part and sends a {@link SentReport}. */
  readonly program: string;
}

/** Plays a part of the tables in each of several processes. Rejects when one of them ends without a report. */
export async function playInProcesses(run: SharedRun): Promise<DifferentialReport> {
  const tables = Math.ceil(run.queries / run.tableQueries);
  const share = Math.ceil(tables / run.processes);
  const parts = Array.from({ length: run.processes }, (_, index) => {
    const from = index * share;
    return { seed: run.seed + from, queries: Math.min(share * run.tableQueries, run.queries - from * run.tableQueries) };
  });
  const reports = await Promise.all(parts.filter(({ queries }) => queries > 0).map((part) => playPart(run, part)));
  const whole: DifferentialReport = { queries: 0, refused: new Map(), orderDependent: 0, differences: [] };
  for (const { queries, refused, orderDependent, differences } of reports) {
    whole.queries += queries;
    whole.orderDependent += orderDependent;
    whole.differences.push(...differences);
    for (const [code, count] of refused) whole.refused.set(code, (whole.refused.get(code) ?? 0) + count);
  }
  return whole;
}

function playPart(run: SharedRun, { seed, queries }: { readonly seed: number; readonly queries: number }): Promise<SentReport> {
  const flags = ['--seed', String(seed), '--queries', String(queries), '--differences', String(run.differencesMax), '--processes', '1'];
  const child = fork(run.program, flags);
  return new Promise((resolve, reject) => {
    let report: SentReport | undefined;
    child.on('message', (message: SentReport) => {
      report = message;
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (report === undefined) reject(new Error(`the part from seed ${seed} ended with ${code} and no report`));
      else resolve(report);
    });
  });
}

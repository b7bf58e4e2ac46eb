import type { StatementAnswer } from '@kalamdb/engine';

const SUMMARIES = [
  ['insert', 'Inserted'],
  ['update', 'Updated'],
  ['delete', 'Deleted'],
] as const;

/**
 * The results of a batch as the wire shows them (wire-protocol 3.9): DML results leave their place; after all others
 * come up to three summaries, inserted, updated, deleted, each only when its total is not 0, with the newest commit of what it stands for. A single statement is left
 * as it is.
 */
export function foldBatch(results: readonly StatementAnswer[], caller: string): readonly StatementAnswer[] {
  if (results.length < 2) return results;
  const totals = { insert: 0, update: 0, delete: 0 };
  const commits: { [dml in keyof typeof totals]?: bigint } = {};
  const others: StatementAnswer[] = [];
  for (const result of results) {
    if (result.kind === 'message' && result.dml !== undefined) {
      totals[result.dml] += result.rowCount;
      if (result.commit !== undefined) commits[result.dml] = result.commit;
    } else others.push(result);
  }
  for (const [dml, verb] of SUMMARIES) {
    const rowCount = totals[dml];
    const commit = commits[dml];
    const named = commit === undefined ? {} : { commit };
    if (rowCount > 0) others.push({ kind: 'message', message: `${verb} ${rowCount} row(s)`, rowCount, dml, asUser: caller, ...named });
  }
  return others;
}

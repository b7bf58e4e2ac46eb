import { kalamError } from '@kalamdb/protocol';
import type { KeyLookup, KeyRangeLookup, Predicate } from '@kalamdb/sql';
import type { KeyRange, RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import { namedKeys, scanRange } from '../read/key-range.ts';
import { maskRow } from '../read/mask.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { WriteContext } from './write-context.ts';
import type { RowWriter } from './write-target.ts';

/** Rows that one statement may find to look at again in its turn. */
const CANDIDATES_MAX = 1_000_000;

/** Which rows an UPDATE or DELETE is about. */
export interface RowSetPlan {
  /** Keys that the filter can only match among, when it names them. */
  readonly keys: KeyLookup | undefined;
  readonly keyRange: KeyRangeLookup | undefined;
  readonly filter: Predicate | undefined;
}

/** A row that the statement may be about, as its scan saw it; `seq` 0n when it was not looked at yet. */
interface Candidate {
  readonly key: RowKey;
  readonly seq: bigint;
}

/**
 * The candidates of a statement, found before it writes: the keys its filter names, or a scan at the watermark.
 * The write looks at each again ({@link matchesAmong}), so that no write between the two is lost.
 */
export function findCandidates(context: WriteContext, plan: RowSetPlan): readonly Candidate[] | Promise<readonly Candidate[]> {
  const { grant, evaluation } = context;
  const named = namedKeys(grant.table, plan.keys, evaluation);
  if (named !== undefined) return named.map((key) => ({ key, seq: 0n }));
  const range = scanRange(grant.table, plan.keyRange, evaluation);
  return range === undefined ? [] : context.queries.run(scanSteps(context, plan, range));
}

function* scanSteps(context: WriteContext, plan: RowSetPlan, range: KeyRange): Steps<readonly Candidate[]> {
  const { table, partition } = context.grant;
  const candidates: Candidate[] = [];
  const source = context.target.open();
  try {
    let left = STEP_ROWS;
    for (const row of source.view(table, partition).scan(range)) {
      if (matches(row, plan, context)) {
        if (candidates.length === CANDIDATES_MAX) throw kalamError('QUERY_TOO_LARGE', { max: CANDIDATES_MAX, what: 'rows' });
        candidates.push({ key: row.key, seq: row.seq });
      }
      if (--left > 0) continue;
      left = STEP_ROWS;
      yield;
    }
  } finally {
    source.close();
  }
  return candidates;
}

/** While it writes: the newest version of each candidate that still matches, each key once; `undefined` where a step may end. */
export function* matchesAmong(
  writer: RowWriter,
  context: WriteContext,
  selection: { readonly plan: RowSetPlan; readonly candidates: readonly Candidate[] },
): Generator<RowVersion | undefined, void> {
  const { table, partition } = context.grant;
  const seen = new Set<RowKey>();
  let left = STEP_ROWS;
  for (const { key, seq } of selection.candidates) {
    if (--left === 0) {
      left = STEP_ROWS;
      yield undefined;
    }
    if (seen.has(key)) continue;
    seen.add(key);
    const row = writer.latest(table, partition, key);
    if (row === undefined || (row.seq !== seq && !matches(row, selection.plan, context))) continue;
    yield row;
  }
}

/** Whether a filter finds the row, which it reads as the principal may see it. */
function matches(row: RowVersion, { filter }: RowSetPlan, { grant, evaluation }: WriteContext): boolean {
  return !row.deleted && (filter === undefined || filter(maskRow(row, grant.maskedCells), evaluation));
}

import { kalamError, type Row } from '@kalamdb/protocol';
import type { KeyLookup, KeyRangeLookup, Predicate } from '@kalamdb/sql';
import type { KeyRange, RowKey } from '@kalamdb/storage';
import type { Grant } from '../access/grant.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import { isCold, type MergedPlace, mergedRows } from '../cold/merged-rows.ts';
import type { RowVersion } from '../contract.ts';
import { ColdRows } from '../partition/cold-rows.ts';
import { weightOf } from '../partition/row-cache.ts';
import { namedKeys, scanRange } from '../read/key-range.ts';
import { maskRow } from '../read/mask.ts';
import type { OpenSource } from '../read/select-steps.ts';
import { SteadyMap } from '../slices/steady-map.ts';
import { StepMeter, type Steps, textUnits } from '../slices/steps.ts';
import type { WriteContext } from './write-context.ts';
import type { RowWriter, WriteSize } from './write-target.ts';

/** Rows that one statement may find to look at again in its turn. */
const CANDIDATES_MAX = 1_000_000;

/** Approximate heap weight of the cold rows among them, whose cells are kept for the turn. */
const KNOWN_BYTES_MAX: number = 128 * 1024 * 1024;

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

/** What a statement may be about. */
interface Candidates {
  readonly candidates: readonly Candidate[];
  /** Those of them that were read from segments. */
  readonly known: ColdRows | undefined;
  /** UTF-16 units of their texts, as far as they were read. */
  readonly units: number;
}

const NO_CELLS: Row = [];

/** What a statement about them is going to write. */
export function sizeOf({ table, partition }: Grant, { candidates, known, units }: Candidates): WriteSize {
  return {
    table,
    partition,
    rowsMax: candidates.length,
    textUnits: units,
    // Made when they are asked for: only where the partition has segments.
    get keys() {
      return candidates.map(({ key }) => key);
    },
    known,
  };
}

/**
 * The candidates of a statement, found before it writes: the keys its filter names, or a scan at the watermark.
 * The write looks at each again ({@link matchesAmong}), so that no write between the two is lost.
 */
export function findCandidates(context: WriteContext, plan: RowSetPlan): Candidates | Promise<Candidates> {
  const { grant, evaluation } = context;
  const named = namedKeys(grant.table, plan.keys, evaluation);
  if (named !== undefined) return { candidates: named.map((key) => ({ key, seq: 0n })), known: undefined, units: 0 };
  const range = scanRange(grant.table, plan.keyRange, evaluation);
  return range === undefined ? { candidates: [], known: undefined, units: 0 } : scanned(context, plan, range);
}

async function scanned(context: WriteContext, plan: RowSetPlan, range: KeyRange): Promise<Candidates> {
  const { table, partition } = context.grant;
  const source = context.target.open();
  try {
    const view = source.view(table, partition);
    const { manifest } = view;
    if (manifest !== undefined && context.cold !== undefined) {
      return await scanBoth(context, plan, { reader: context.cold, both: { view, place: { table, partition, manifest } }, range });
    }
    return await context.queries.run(scanSteps(context, plan, { source, range }));
  } finally {
    source.close();
  }
}

interface BothParts {
  readonly reader: ColdReader;
  readonly both: MergedPlace;
  readonly range: KeyRange;
}

/** Scans a partition with segments; what was found in them need not be looked up again. */
async function scanBoth(context: WriteContext, plan: RowSetPlan, { reader, both, range }: BothParts): Promise<Candidates> {
  const { place } = both;
  const candidates = new FoundRows();
  const known = new ColdRows(place.manifest.version);
  let bytes = 0;
  for await (const rows of mergedRows(reader, both, range)) {
    const found = (row: RowVersion): void => {
      candidates.add(row);
      if (!isCold(row, place)) return;
      bytes += weightOf(row);
      if (bytes > KNOWN_BYTES_MAX) throw kalamError('QUERY_TOO_LARGE', { max: KNOWN_BYTES_MAX, what: 'bytes of cold rows' });
      known.set(row.key, row);
    };
    await context.queries.run(matchSteps(context, { plan, found }, rows));
  }
  return { ...candidates, known };
}

function* scanSteps(context: WriteContext, plan: RowSetPlan, reading: { source: OpenSource; range: KeyRange }): Steps<Candidates> {
  const { table, partition } = context.grant;
  const rows = new FoundRows();
  yield* matchSteps(context, { plan, found: (row) => rows.add(row) }, reading.source.view(table, partition).scan(reading.range));
  return { ...rows, known: undefined };
}

/** What a scan has found so far. */
class FoundRows implements Omit<Candidates, 'known'> {
  readonly candidates: Candidate[] = [];
  units = 0;

  add({ key, seq, cells }: RowVersion): void {
    if (this.candidates.length === CANDIDATES_MAX) throw kalamError('QUERY_TOO_LARGE', { max: CANDIDATES_MAX, what: 'rows' });
    this.candidates.push({ key, seq });
    this.units += textUnits(cells);
  }
}

/** Tells of the rows that match. */
function* matchSteps(
  context: WriteContext,
  { plan, found }: { readonly plan: RowSetPlan; readonly found: (row: RowVersion) => void },
  rows: Iterable<RowVersion>,
): Steps<void> {
  const meter = new StepMeter();
  for (const row of rows) {
    if (matches(row, plan, context)) found(row);
    if (meter.passed(row.cells)) yield;
  }
}

/** While it writes: the newest version of each candidate that still matches, each key once; `undefined` where a step may end. */
export function* matchesAmong(
  writer: RowWriter,
  context: WriteContext,
  selection: { readonly plan: RowSetPlan; readonly candidates: readonly Candidate[] },
): Generator<RowVersion | undefined, void> {
  const { table, partition } = context.grant;
  const seen = new SteadyMap<RowKey, true>();
  const meter = new StepMeter();
  for (const { key, seq } of selection.candidates) {
    const row = seen.has(key) ? undefined : writer.latest(table, partition, key);
    seen.set(key, true);
    // Between reading a row and writing it: a long one is much of both.
    if (meter.passed(row?.cells ?? NO_CELLS)) yield undefined;
    if (row !== undefined && (row.seq === seq || matches(row, selection.plan, context))) yield row;
  }
}

/** Whether a filter finds the row, which it reads as the principal may see it. */
function matches(row: RowVersion, { filter }: RowSetPlan, { grant, evaluation }: WriteContext): boolean {
  return !row.deleted && (filter === undefined || filter(maskRow(row, grant.maskedCells), evaluation));
}

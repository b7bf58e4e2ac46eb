import type { GeneralCheck } from '@kalamdb/sql';
import { type ColumnTest, type Manifest, mayHoldKeys, mayHoldRange, type Segment, statsExclude } from '@kalamdb/storage';
import type { Table } from '../../catalog/table.ts';
import type { ColdReader } from '../../cold/cold-reader.ts';
import type { RowAccess } from '../granted-rows.ts';
import type { HotSource } from './query-messages.ts';
import { checkedAccess } from './source-checks.ts';

/** Keys that are asked of filters; a query that names more reads every segment of their range. */
const FILTERED_KEYS_MAX = 1000;

/** What becomes of the segments of a partition for one query. */
export interface SegmentFigures {
  readonly considered: number;
  /** Their first and last keys show that they hold no row that is needed. */
  readonly skippedByKey: number;
  /** Their bloom filters show it. */
  readonly skippedByBloom: number;
  /** What is known of their columns shows it. */
  readonly skippedByStatistics: number;
  readonly read: number;
}

/** The segments that a query reads. */
export interface ChosenSegments {
  readonly segments: readonly Segment[];
  readonly figures: SegmentFigures;
}

type Reader = Pick<ColdReader, 'mayHold'>;
type Conditions = Pick<HotSource, 'checks' | 'maskedCells'>;

/**
 * The segments that may hold rows which a query needs: by the conditions of its table, whose masked cells say nothing. Rejects with what
 * loading filters does and with DAMAGED_DATA.
 */
export function chosenSegments(reader: Reader, table: Table, manifest: Manifest, conditions: Conditions): Promise<ChosenSegments> {
  return segmentsAt(reader, manifest, checkedAccess(table, conditions), (segment) => isNeeded(segment, table, conditions));
}

/** The segments that a part of a partition may lie in, and of these the ones that `test` takes. */
export async function segmentsAt(
  reader: Reader,
  manifest: Manifest,
  access: RowAccess,
  test: (segment: Segment) => boolean = () => true,
): Promise<ChosenSegments> {
  const { segments: all } = manifest;
  const inRange = all.filter((segment) =>
    access.kind === 'keys' ? mayHoldKeys(segment, access.keys) : mayHoldRange(segment, access.range),
  );
  const filtered =
    access.kind === 'keys' && access.keys.length <= FILTERED_KEYS_MAX && inRange.length > 0
      ? await reader.mayHold(manifest, inRange, access.keys)
      : inRange;
  const segments = filtered.filter(test);
  const figures = {
    considered: all.length,
    skippedByKey: all.length - inRange.length,
    skippedByBloom: inRange.length - filtered.length,
    skippedByStatistics: filtered.length - segments.length,
    read: segments.length,
  };
  return { segments, figures };
}

/** A row is needed that meets the whole of one list. */
function isNeeded(segment: Segment, table: Table, { checks, maskedCells }: Conditions): boolean {
  if (checks === undefined) return true;
  return checks.some((list) => !list.some((check) => excludes(segment, table, { check, maskedCells })));
}

function excludes(
  segment: Segment,
  table: Table,
  { check, maskedCells }: { readonly check: GeneralCheck; readonly maskedCells: HotSource['maskedCells'] },
): boolean {
  const place = table.storedColumns.findIndex(({ name }) => name === check.column);
  const column = table.storedColumns[place];
  if (column === undefined || maskedCells.includes(place)) return false;
  return statsExclude(segment, column.id, columnTest(check), column.type);
}

function columnTest(check: GeneralCheck): ColumnTest {
  switch (check.test) {
    case 'null':
      return { op: 'is null' };
    case 'not null':
      return { op: 'is not null' };
    case 'in':
      return { op: 'in', cells: check.cells };
    default:
      return { op: check.test, cell: check.cell };
  }
}

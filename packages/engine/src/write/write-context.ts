import { kalamError, type Row } from '@kalamdb/protocol';
import type { ColumnInfo, EvalContext } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { Grant } from '../access/grant.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { RaceCounts, WriteTarget } from './write-target.ts';

/** The plan was bound to a version of the table that is gone; the statement is planned again. */
export class StalePlan extends Error {
  constructor() {
    super('the table has changed since the statement was planned');
    this.name = 'StalePlan';
  }
}

/** What a writing statement works with. */
export interface WriteContext {
  readonly target: WriteTarget;
  readonly grant: Grant;
  readonly evaluation: EvalContext;
  /** Runs scans in slices. */
  readonly queries: Pick<QueryRunner, 'run'>;
  /** Reads the rows of segments; absent: there is no cold tier. */
  readonly cold?: ColdReader | undefined;
  readonly races: RaceCounts;
  /** Whether anybody subscribes to a partition. */
  isHeard(partition: PartitionId): boolean;
}

/**
 * Throws NOT_NULL for the first NULL in a column that allows none, NOT_NULL_MISSING when the column is one of the `missing`, which the statement
 * leaves out. `rowNumber` is 1-based within the statement.
 */
export function checkNotNull(table: Table, cells: Row, rowNumber: number, missing: readonly ColumnInfo[] = []): void {
  for (let index = 0; index < table.storedColumns.length; index++) {
    const column = table.storedColumns[index];
    if (column !== undefined && !column.nullable && cells[index] === null) {
      const isMissing = missing.some(({ name }) => name === column.name);
      throw kalamError(isMissing ? 'NOT_NULL_MISSING' : 'NOT_NULL', { column: column.name, row: rowNumber });
    }
  }
}

import { type Cell, kalamError, type Row } from '@kalamdb/protocol';
import type { EvalContext, Returning } from '@kalamdb/sql';
import type { Grant } from '../access/grant.ts';
import type { RowVersion } from '../contract.ts';
import { maskRow } from '../read/mask.ts';
import { projector } from '../read/project-row.ts';
import { isProvisionalSeq } from '../sequencer/large-commit.ts';

/** Rows that one statement may return. */
const RETURNED_ROWS_MAX = 100_000;

const NO_CELLS: Row = [];

/** What a write answers: the number of rows, or what RETURNING makes of them. */
export type Written = number | readonly Row[];

/**
 * The answer of RETURNING. Its expressions are evaluated while the statement writes, so that one that fails leaves nothing of it behind;
 * only the `_seq` of a row of a large commit is filled in afterwards, when it is known.
 */
export class ReturnedRows {
  readonly #returning: Returning;
  readonly #maskedCells: readonly number[];
  readonly #project: (row: RowVersion) => Row;
  readonly #rows: Row[] = [];
  /** Of the same rows; only kept when an output is `_seq`. */
  readonly #versions: RowVersion[] = [];

  constructor(returning: Returning, { maskedCells }: Grant, evaluation: EvalContext) {
    this.#returning = returning;
    this.#maskedCells = maskedCells;
    this.#project = projector(returning.select, evaluation);
  }

  /** Takes in a row, and the cells that expressions find behind its own. Throws QUERY_TOO_LARGE and what the expressions throw. */
  add(version: RowVersion, beside: Row = NO_CELLS): void {
    const { seqColumns, computesWithSeq } = this.#returning;
    if (computesWithSeq && isProvisionalSeq(version.seq)) {
      throw kalamError('NOT_IMPLEMENTED', { what: 'expressions over _seq in the RETURNING of a statement that writes so many rows' });
    }
    if (this.#rows.length === RETURNED_ROWS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: RETURNED_ROWS_MAX, what: 'rows' });
    const shown = maskRow(version, this.#maskedCells);
    this.#rows.push(this.#project(beside.length === 0 ? shown : { ...shown, cells: [...shown.cells, ...beside] }));
    if (seqColumns.length > 0) this.#versions.push(version);
  }

  /** The rows, once they are written. */
  finish(): readonly Row[] {
    const { seqColumns } = this.#returning;
    if (seqColumns.length === 0) return this.#rows;
    return this.#rows.map((row, index) => {
      const seq = this.#versions[index]?.seq ?? null;
      const cells: Cell[] = [...row];
      for (const column of seqColumns) cells[column] = seq;
      return cells;
    });
  }
}

/** What a statement has written, as its turn knows it. */
export interface WriteOutcome {
  readonly count: number;
  readonly returned: ReturnedRows | undefined;
}

/** The answer to a write that has been taken. */
export function written({ count, returned }: WriteOutcome): Written {
  return returned === undefined ? count : returned.finish();
}

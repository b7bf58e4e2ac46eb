import { kalamError, type Row } from '@kalamdb/protocol';
import type { EvalContext, InputRow, Predicate, SelectPlan } from '@kalamdb/sql';
import { finishSteps, STEP_ROWS, type Steps } from '../slices/steps.ts';
import { Grouper } from './group-rows.ts';
import { projector, rowIdentity } from './project-row.ts';
import { RowSorter } from './row-sorter.ts';

/** Rows that one SELECT holds at most: what it has found and nobody has taken, what it sorts, or what DISTINCT has to remember. */
const ROWS_HELD_MAX = 1_000_000;

/**
 * One execution of a SELECT that is fed row by row: filter, grouping, HAVING, projection, DISTINCT, ORDER BY, OFFSET, LIMIT.
 *
 * Rows come in primary-key order and, unless the plan mentions `_deleted`, without tombstones. They may be shared with
 * others: they are not changed. Everything throws what the expressions throw, and QUERY_TOO_LARGE when it would hold more
 * than a million rows. Rows of the answer can be taken as they are found, between two pushes and between two steps of its end.
 */
export class SelectRun {
  /** Nothing that could be fed would change the answer: do not read at all. */
  readonly isEmpty: boolean;
  readonly #context: EvalContext;
  readonly #filter: Predicate | undefined;
  readonly #grouper: Grouper | undefined;
  readonly #collector: Collector;

  constructor(plan: SelectPlan, context: EvalContext) {
    const limit = plan.limit?.(context) ?? Number.POSITIVE_INFINITY;
    const offset = plan.offset?.(context) ?? 0;
    this.isEmpty = limit === 0;
    this.#context = context;
    this.#filter = plan.filter;
    this.#grouper = plan.grouping === undefined ? undefined : new Grouper(plan, plan.grouping, context);
    this.#collector = new Collector({ plan, offset, end: offset + limit }, context);
  }

  /** Takes rows that were counted elsewhere, of a plan that only counts its table. */
  count(rows: number): void {
    this.#grouper?.count(rows);
  }

  /** Takes a row; answers whether more are wanted. */
  push(row: InputRow): boolean {
    const filter = this.#filter;
    if (filter !== undefined && !filter(row, this.#context)) return true;
    if (this.#grouper === undefined) return this.#collector.take(row);
    this.#grouper.add(row);
    return true;
  }

  /** Takes what was found of the answer since the last time, in order; of a sorted or grouped one there is nothing before its end. */
  take(): Row[] {
    return this.#collector.takeRows();
  }

  /** The rest of the answer. Call once, when every row was pushed or no more were wanted. */
  finish(): Row[] {
    if (this.#grouper === undefined && !this.#collector.sorts) return this.#collector.takeRows();
    return finishSteps(this.finishInSteps());
  }

  /** {@link finish} in steps: a large sort or many groups take long. */
  *finishInSteps(): Steps<Row[]> {
    if (this.isEmpty) return [];
    const collector = this.#collector;
    if (this.#grouper !== undefined) {
      let left = STEP_ROWS;
      for (const row of this.#grouper.rows()) {
        if (!collector.takeGroup(row)) break;
        if (--left > 0) continue;
        left = STEP_ROWS;
        yield;
      }
    }
    if (collector.sorts) yield* collector.sortInSteps();
    return collector.takeRows();
  }
}

interface CollectorBounds {
  readonly plan: SelectPlan;
  readonly offset: number;
  /** Offset plus limit. */
  readonly end: number;
}

/** What comes after filter and grouping. */
class Collector {
  /** What was found of the answer and not taken yet. */
  #rows: Row[] = [];
  readonly #bounds: CollectorBounds;
  readonly #context: EvalContext;
  readonly #project: (row: InputRow) => Row;
  readonly #isNew: ((row: Row) => boolean) | undefined;
  readonly #sorter: RowSorter | undefined;
  #passed = 0;

  constructor(bounds: CollectorBounds, context: EvalContext) {
    const { plan, end } = bounds;
    this.#bounds = bounds;
    this.#context = context;
    this.#project = projector(plan, context);
    this.#isNew = plan.distinct ? distinctTest(plan) : undefined;
    this.#sorter = plan.sort.length === 0 ? undefined : new RowSorter(plan.sort, { rowsMax: ROWS_HELD_MAX, first: end });
  }

  get sorts(): boolean {
    return this.#sorter !== undefined;
  }

  /** Takes a group's row: HAVING decides. */
  takeGroup(row: InputRow): boolean {
    const { having } = this.#bounds.plan;
    return having !== undefined && !having(row, this.#context) ? true : this.take(row);
  }

  /** Takes a row that qualifies; answers whether more are wanted. */
  take(row: InputRow): boolean {
    const sorter = this.#sorter;
    if (sorter === undefined && this.#isNew === undefined && this.#passed < this.#bounds.offset) {
      this.#passed += 1;
      return true;
    }
    const projected = this.#project(row);
    if (this.#isNew !== undefined && !this.#isNew(projected)) return true;
    if (sorter === undefined) return this.#keep(projected);
    sorter.add(projected);
    return true;
  }

  takeRows(): Row[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  /** Puts what was sorted among the rows that were found. */
  *sortInSteps(): Steps<void> {
    const { plan, offset, end } = this.#bounds;
    const width = plan.columns.length;
    const whole = plan.projection.length === width;
    if (this.#sorter === undefined) return;
    let passed = 0;
    for (const row of this.#sorter.sortedInSteps()) {
      if (row === undefined) {
        yield;
        continue;
      }
      passed += 1;
      if (passed <= offset) continue;
      if (passed > end) break;
      this.#rows.push(whole ? row : row.slice(0, width));
    }
  }

  #keep(projected: Row): boolean {
    const { offset, end } = this.#bounds;
    this.#passed += 1;
    if (this.#passed <= offset) return true;
    if (this.#rows.length >= ROWS_HELD_MAX) throw kalamError('QUERY_TOO_LARGE', { max: ROWS_HELD_MAX, what: 'rows' });
    this.#rows.push(projected);
    return this.#passed < end;
  }
}

function distinctTest(plan: SelectPlan): (row: Row) => boolean {
  const seen = new Set<unknown>();
  const identify = rowIdentity(plan.columns.map((column) => column.type));
  return (row) => {
    const identity = identify(row);
    if (seen.has(identity)) return false;
    if (seen.size >= ROWS_HELD_MAX) throw kalamError('QUERY_TOO_LARGE', { max: ROWS_HELD_MAX, what: 'distinct rows' });
    seen.add(identity);
    return true;
  };
}

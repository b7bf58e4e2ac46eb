import type { Clock, DataType } from '@kalamdb/protocol';
import type { EvalContext, PreparedValues, SubscriptionPlan } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { LiveCounters } from './counters.ts';
import { FilterContext } from './filter-context.ts';
import { QueryGroup } from './query-group.ts';
import { bestRoute, type Route } from './route.ts';
import { type RowEncoder, rowEncoderOf } from './row-encoder.ts';

/** What a shape is made of. */
export interface QueryShapeParts {
  /** Identity of the shape: queries with equal names and equal literals have equal answers. */
  readonly name: string;
  readonly plan: SubscriptionPlan;
  readonly partition: PartitionId;
  /** The commit that made the version of the table that the plan is for; 0n for its first. */
  readonly sinceSeq: bigint;
  /** Positions in `cells` that read as `***`. */
  readonly maskedCells: readonly number[];
  /** Who asks; its parameters and its time are not used. */
  readonly caller: EvalContext;
  readonly clock: Clock;
  readonly counters: LiveCounters;
}

/** What queries on one partition share that differ in their literals only. There may be a hundred thousand of them. */
export class QueryShape {
  readonly name: string;
  readonly plan: SubscriptionPlan;
  readonly partition: PartitionId;
  readonly sinceSeq: bigint;
  readonly maskedCells: readonly number[];
  readonly clock: Clock;
  readonly counters: LiveCounters;
  readonly encoder: RowEncoder;
  /** Set when its table was altered or dropped: changes were handed on up to this commit, and none are any more. The router's. */
  retiredSeq: bigint | undefined;
  readonly #caller: EvalContext;
  readonly #groups = new Map<string, QueryGroup>();

  constructor({ name, plan, partition, sinceSeq, maskedCells, caller, clock, counters }: QueryShapeParts) {
    this.name = name;
    this.plan = plan;
    this.partition = partition;
    this.sinceSeq = sinceSeq;
    this.maskedCells = maskedCells;
    this.counters = counters;
    this.encoder = rowEncoderOf(plan);
    this.#caller = caller;
    this.clock = clock;
  }

  /** Queries that are in use. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /** The query with these literals, made if there is none. */
  group(literals: string, values: PreparedValues): QueryGroup {
    let group = this.#groups.get(literals);
    if (group === undefined) {
      group = new QueryGroup(this, literals, new FilterContext(this.#caller, this.clock, values));
      this.#groups.set(literals, group);
    }
    return group;
  }

  /** Forgets a query that nobody uses any more. */
  forget({ literals }: QueryGroup): void {
    this.#groups.delete(literals);
  }

  /** The condition that a query with this context is found by; `undefined`: it is asked about every change. */
  route(context: EvalContext): Route | undefined {
    const { plan, maskedCells } = this;
    return bestRoute(plan.routing(context), plan.table, maskedCells);
  }

  /** The type of a stored column. Throws for an index that there is not. */
  columnType(index: number): DataType {
    const column = this.plan.table.columns[index];
    if (column === undefined) throw new RangeError(`${this.plan.table.name} has no column ${index}`);
    return column.type;
  }
}

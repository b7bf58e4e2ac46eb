import { KalamError, kalamError } from '@kalamdb/protocol';
import type { EvalContext, SubscriptionPlan } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { RowChange, RowVersion } from '../contract.ts';
import { maskedCell } from '../read/mask.ts';
import type { LiveCounters } from './counters.ts';
import { SharedBody } from './frame.ts';
import { type RoutingEquality, routingEquality } from './routing-equality.ts';
import { type RowEncoder, rowEncoderOf } from './row-encoder.ts';

/** A subscription as its group sees it. */
export interface GroupMember {
  /** Delivers a change unless the member already has it. */
  push(seq: bigint, body: SharedBody): void;
  /** Ends the member with an error frame. */
  fail(error: unknown): void;
}

/** What a group is made of. */
export interface QueryGroupParts {
  /** Identity of the query: equal names mean equal answers. */
  readonly name: string;
  readonly plan: SubscriptionPlan;
  readonly partition: PartitionId;
  /** The commit that made the version of the table that the plan is for; 0n for its first. */
  readonly sinceSeq: bigint;
  /** Positions in `cells` that read as `***`. */
  readonly maskedCells: readonly number[];
  readonly context: EvalContext;
  readonly counters: LiveCounters;
}

/**
 * Identical subscriptions: one plan on one partition. A change is evaluated and encoded once for all members.
 * Members are the subscriptions that are live; those that load or catch up only use the group's plan.
 */
export class QueryGroup {
  readonly name: string;
  readonly plan: SubscriptionPlan;
  readonly partition: PartitionId;
  readonly sinceSeq: bigint;
  readonly encoder: RowEncoder;
  /** The condition that the router finds the group by. */
  readonly equality: RoutingEquality | undefined;
  readonly members: Set<GroupMember> = new Set();
  /** Subscriptions that use the group, live or not; the router's. */
  uses = 0;
  readonly #maskedCells: readonly number[];
  readonly #context: EvalContext;
  readonly #counters: LiveCounters;

  constructor({ name, plan, partition, sinceSeq, maskedCells, context, counters }: QueryGroupParts) {
    this.name = name;
    this.plan = plan;
    this.partition = partition;
    this.sinceSeq = sinceSeq;
    this.encoder = rowEncoderOf(plan);
    this.equality = routingEquality(plan, maskedCells);
    this.#maskedCells = maskedCells;
    this.#context = context;
    this.#counters = counters;
  }

  /**
   * The frame that a change means to this query, already encoded; `undefined` when it means nothing. Throws what the filter
   * throws, and CONVERSION_ERROR.
   */
  bodyOf(change: RowChange): SharedBody | undefined {
    const row = this.#seen(change);
    const previous = change.previous === undefined ? undefined : this.#seen(change.previous);
    if (this.#matches(row)) {
      if (previous === undefined || previous.deleted || row.deleted) return this.#body(() => this.encoder.insert(row));
      if (!this.#matches(previous)) this.#counters.enters += 1;
      return this.#body(() => this.encoder.update(row, previous));
    }
    if (previous === undefined || !this.#matches(previous)) return undefined;
    if (this.plan.table.kind === 'stream') return this.#body(() => this.encoder.eventRemoval(this.partition.owner, previous.seq));
    if (!row.deleted) this.#counters.leaves += 1;
    return this.#body(() => this.encoder.delete(previous.cells, row.seq));
  }

  /**
   * The frame for a row's newest version when the versions between it and `knownSeq`, up to which the client knows the
   * partition, are not known any more: the row as an insert, or its removal if the client may have it. Throws as `bodyOf`.
   */
  coalescedBodyOf(version: RowVersion, knownSeq: bigint): SharedBody | undefined {
    const row = this.#seen(version);
    if (this.#matches(row)) return this.#body(() => this.encoder.insert(row));
    if (row.createdSeq > knownSeq) return undefined;
    if (this.plan.table.kind === 'stream') return this.#body(() => this.encoder.eventRemoval(this.partition.owner, row.createdSeq));
    return this.#body(() => this.encoder.removal(row));
  }

  /** Whether the query's answer holds this version. Throws what the filter throws. */
  matches(version: RowVersion): boolean {
    return this.#matches(this.#seen(version));
  }

  /** A row of a batch. Throws CONVERSION_ERROR. */
  rowText(version: RowVersion): string {
    return encoded(() => this.encoder.row(this.#seen(version)));
  }

  #matches(row: RowVersion): boolean {
    const { filter, mentionsDeleted } = this.plan;
    if (row.deleted && !mentionsDeleted) return false;
    return filter === undefined || filter(row, this.#context);
  }

  /** The version as the grant lets it be seen. */
  #seen(version: RowVersion): RowVersion {
    if (this.#maskedCells.length === 0) return version;
    const cells = [...version.cells];
    for (const index of this.#maskedCells) cells[index] = maskedCell(cells[index] ?? null);
    return { ...version, cells };
  }

  #body(encode: () => string): SharedBody {
    const body = new SharedBody(encode);
    encoded(() => body.json());
    this.#counters.bodies += 1;
    return body;
  }
}

function encoded(encode: () => string): string {
  try {
    return encode();
  } catch (error) {
    throw kalamError('CONVERSION_ERROR', { reason: error instanceof KalamError ? error.message : String(error) }, { cause: error });
  }
}

import { KalamError, kalamError } from '@kalamdb/protocol';
import type { EvalContext, SubscriptionPlan } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { RowChange, RowVersion } from '../contract.ts';
import { maskedCell } from '../read/mask.ts';
import { SharedBody } from './frame.ts';
import { eachOf, holds, type OneOrMany, withOne, withoutOne } from './one-or-many.ts';
import type { QueryShape } from './query-shape.ts';
import type { Route } from './route.ts';
import type { RowEncoder } from './row-encoder.ts';

/** A subscription as its group sees it. */
export interface GroupMember {
  /** Delivers a change unless the member already has it; `more`: rows of the same commit and partition follow. */
  push(seq: bigint, body: SharedBody, more: boolean): void;
  /** Ends the member with an error frame. */
  fail(error: unknown): void;
}

/** Takes the changes that concern a group in its members' stead: what they mean depends on other rows. */
export interface ChangeTaker {
  /** In commit order. Throws what ends the members. */
  apply(change: RowChange): void;
}

/**
 * Identical subscriptions: one plan on one partition. A change is evaluated and encoded once for all members.
 * Members are the subscriptions that are live; those that load or catch up only use the group's plan.
 */
export class QueryGroup {
  readonly shape: QueryShape;
  /** What distinguishes it from the other queries of its shape. */
  readonly literals: string;
  /** Subscriptions that use the group, live or not; the router's. */
  uses = 0;
  /** The number of the change that the group was last found for; the routes'. */
  foundFor = 0;
  /** What the query's expressions read. */
  readonly context: EvalContext;
  /** Set for a query with a LIMIT. */
  taker: ChangeTaker | undefined;
  #members: OneOrMany<GroupMember> | undefined;

  constructor(shape: QueryShape, literals: string, context: EvalContext) {
    this.shape = shape;
    this.literals = literals;
    this.context = context;
  }

  get plan(): SubscriptionPlan {
    return this.shape.plan;
  }

  get partition(): PartitionId {
    return this.shape.partition;
  }

  get sinceSeq(): bigint {
    return this.shape.sinceSeq;
  }

  /** See {@link QueryShape.retiredSeq}. */
  get retiredSeq(): bigint | undefined {
    return this.shape.retiredSeq;
  }

  get encoder(): RowEncoder {
    return this.shape.encoder;
  }

  /** The condition that the router finds the group by; `undefined`: it is asked about every change. Always the same, and made anew each time. */
  get route(): Route | undefined {
    return this.shape.route(this.context);
  }

  /** The members in the order in which they came; they may come and go while they are walked. */
  get members(): Iterable<GroupMember> {
    return eachOf(this.#members);
  }

  get hasMembers(): boolean {
    return this.#members !== undefined;
  }

  /** The router's; a member that is there already stays once. */
  addMember(member: GroupMember): void {
    this.#members = withOne(this.#members, member);
  }

  /** The router's; `false`: it was no member. */
  removeMember(member: GroupMember): boolean {
    if (!holds(this.#members, member)) return false;
    this.#members = withoutOne(this.#members, member);
    return true;
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
      if (!this.#matches(previous)) this.shape.counters.enters += 1;
      return this.#body(() => this.encoder.update(row, previous));
    }
    if (previous === undefined || !this.#matches(previous)) return undefined;
    if (this.plan.table.kind === 'stream') return this.#body(() => this.encoder.eventRemoval(this.partition.owner, previous.seq));
    if (!row.deleted) this.shape.counters.leaves += 1;
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

  /** The version as the query's reader sees it, if the answer holds it. Throws what the filter throws. */
  shown(version: RowVersion): RowVersion | undefined {
    const row = this.#seen(version);
    return this.#matches(row) ? row : undefined;
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
    return filter === undefined || filter(row, this.context);
  }

  /** The version as the grant lets it be seen. */
  #seen(version: RowVersion): RowVersion {
    const { maskedCells } = this.shape;
    if (maskedCells.length === 0) return version;
    const cells = [...version.cells];
    for (const index of maskedCells) cells[index] = maskedCell(cells[index] ?? null);
    return { ...version, cells };
  }

  #body(encode: () => string): SharedBody {
    const body = new SharedBody(this.shape.clock.now(), encode);
    encoded(() => body.json());
    this.shape.counters.bodies += 1;
    return body;
  }
}

/** What is encoded, or CONVERSION_ERROR. */
export function encoded(encode: () => string): string {
  try {
    return encode();
  } catch (error) {
    throw kalamError('CONVERSION_ERROR', { reason: error instanceof KalamError ? error.message : String(error) }, { cause: error });
  }
}

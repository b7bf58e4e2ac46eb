import { type Clock, kalamError, plainType, type Random, type Row, SnowflakeSequence, type Timers } from '@kalamdb/protocol';
import type { InputRow, RoutingCondition, SubscriptionPlan, WindowPlan } from '@kalamdb/sql';
import { openMemoryLog, openMemoryStore, type PartitionId, type RowKey } from '@kalamdb/storage';
import { createTable, NO_OPTIONS, type Table, type TableColumn } from '../catalog/table.ts';
import type { Principal, RowVersion } from '../contract.ts';
import { SeqReservation } from '../sequencer/seq-reservation.ts';
import { Sequencer } from '../sequencer/sequencer.ts';
import { Live, type LiveLimits } from './live.ts';
import type { LiveSources } from './sources.ts';
import { Turns } from './turns.ts';

const column = (id: number, name: string, kind: 'int' | 'text' | 'bigint' | 'boolean', primaryKey = false): TableColumn => ({
  id,
  name,
  type: plainType(kind),
  nullable: !primaryKey,
  primaryKey,
  default: undefined,
  system: undefined,
  ordinal: id,
  comment: undefined,
});

const SYSTEM_COLUMNS: readonly TableColumn[] = [
  { ...column(100, '_seq', 'bigint'), nullable: false, system: '_seq' },
  { ...column(101, '_deleted', 'boolean'), nullable: false, system: '_deleted' },
];

function table(id: number, name: string, kind: Table['kind']): Table {
  return createTable({
    id,
    version: 1,
    namespace: 'app',
    name,
    kind,
    storedColumns: [column(1, 'id', 'int', true), column(2, 'name', 'text'), column(3, 'n', 'bigint')],
    systemColumns: kind === 'system' ? [] : SYSTEM_COLUMNS,
    options: NO_OPTIONS,
    accessLevel: 'public',
    createdAtMicros: 0n,
    updatedAtMicros: 0n,
  });
}

/** One table of each kind, all `(id INT PRIMARY KEY, name TEXT, n BIGINT)`. */
export const TABLES = {
  user: table(1000, 'mine', 'user'),
  shared: table(1001, 'shared', 'shared'),
  stream: table(1002, 'events', 'stream'),
  system: table(500, 'jobs', 'system'),
} as const;

/** What a test query asks for; its text is what {@link LiveWorld.query} returned. */
export interface QuerySpec {
  readonly table: Table;
  /** Column names; absent: `*`. */
  readonly columns?: readonly string[];
  readonly filter?: (row: InputRow, caller: { readonly userId: string }) => boolean;
  readonly mentionsDeleted?: boolean;
  readonly mentionsUser?: boolean;
  readonly routing?: readonly RoutingCondition[];
  readonly window?: WindowPlan;
}

/** What a world is made of. */
export interface WorldParts {
  readonly time: Clock & Timers;
  readonly random: Random;
  readonly tailBytesMax?: number;
  readonly sliceRowsMax?: number;
  readonly limits?: LiveLimits;
}

/** Live queries on a real sequencer over memory, with plans made by hand. */
export class LiveWorld {
  readonly sequencer: Sequencer;
  readonly live: Live;
  /** Table ids that nobody may read. */
  readonly denied = new Set<number>();
  readonly #plans = new Map<string, SubscriptionPlan>();

  constructor({ time, random, tailBytesMax, sliceRowsMax, limits }: WorldParts) {
    const hot = openMemoryStore();
    this.sequencer = new Sequencer({
      log: openMemoryLog({ random, startSeq: 0n }),
      hot,
      sequence: new SnowflakeSequence({ clock: time, node: 1 }),
      durability: 'relaxed',
      clock: time,
      timers: time,
      reservation: new SeqReservation(0n),
      tailBytesMax,
      warn: (text) => {
        throw kalamError('INTERNAL_ERROR', { reason: text });
      },
    });
    this.live = new Live(this.#sources(time, sliceRowsMax), limits);
  }

  /** Makes the text of a query known. Equal names are the same query. */
  query(name: string, spec: QuerySpec): string {
    const { columns, filter } = spec;
    const userColumns = spec.table.columns.filter(({ system }) => system === undefined);
    this.#plans.set(name, {
      kind: 'subscription',
      table: spec.table,
      shape: name,
      projection: columns === undefined ? spec.table.columns : userColumns.filter(({ name: own }) => columns.includes(own)),
      star: columns === undefined,
      filter,
      mentionsDeleted: spec.mentionsDeleted ?? false,
      mentionsUser: spec.mentionsUser ?? false,
      routing: () => spec.routing ?? [],
      window: spec.window,
    });
    return name;
  }

  partition(of: Table, owner: string): PartitionId {
    return of.partitionFor(owner);
  }

  /** Commits rows of one table, in order, and resolves with the commit's versions. */
  async write(
    of: Table,
    owner: string,
    rows: readonly { readonly cells: Row; readonly deleted?: boolean }[],
  ): Promise<readonly RowVersion[]> {
    return await this.sequencer.submit((draft) => rows.map((row) => draft.put(of, this.partition(of, owner), row)));
  }

  /** The newest version of a row. */
  row(of: Table, owner: string, key: RowKey): RowVersion | undefined {
    return this.sequencer.snapshots.read((snapshot) => snapshot.view(of, this.partition(of, owner)).get(key));
  }

  /** What a query answers now, in `_seq` order. */
  answer(name: string, principal: Principal): readonly RowVersion[] {
    const { table: of, filter, mentionsDeleted } = this.#plan(name);
    return this.sequencer.snapshots.read((snapshot) =>
      [...snapshot.view(of as Table, this.partition(of as Table, principal.userId)).scanBySeq(0n)].filter(
        (row) => (mentionsDeleted || !row.deleted) && (filter === undefined || filter(row, context(principal))),
      ),
    );
  }

  #plan(name: string): SubscriptionPlan {
    const plan = this.#plans.get(name);
    if (plan === undefined) throw kalamError('SUBSCRIBE_INVALID_SQL', { reason: name });
    return plan;
  }

  #sources(time: Clock & Timers, sliceRowsMax: number | undefined): LiveSources {
    const { sequencer } = this;
    return {
      commits: sequencer,
      clock: time,
      timers: time,
      turns: new Turns(time),
      sliceRowsMax,
      snapshot: () => {
        const snapshot = sequencer.snapshots.open();
        return {
          seq: snapshot.seq,
          view: (of, partition) => ({ scanBySeq: (afterSeq) => whole(snapshot.view(of as Table, partition).scanBySeq(afterSeq)) }),
          close: () => snapshot.close(),
        };
      },
      loggedSeq: () => sequencer.watermark,
      newest: async () => {
        throw kalamError('INTERNAL_ERROR', { reason: 'rows are not looked up by literals here' });
      },
      ahead: () => ({ read: () => undefined, close: () => undefined }),
      bind: (sql) => ({ plan: this.#plan(sql), literals: '', values: { parameters: [] } }),
      grant: (principal, of) => {
        if (this.denied.has(of.id)) throw kalamError('ACCESS_DENIED', { role: 'User', table: of.name, reason: 'private' });
        return { partition: this.partition(of as Table, principal.userId), maskedCells: [] };
      },
      horizon: (of, partition) => (of.kind === 'stream' ? sequencer.streams.horizon(partition) : 0n),
      sinceSeq: (of) => (of as Table).sinceSeq,
      restoredSeq: () => 0n,
      reached: () => undefined,
      isLost: () => false,
      context,
    };
  }
}

function context(principal: Principal): ReturnType<LiveSources['context']> {
  return {
    parameters: [],
    nowMicros: 0n,
    userId: principal.userId,
    role: principal.role,
    snowflakeId: () => 0n,
    uuidV7: () => '',
    ulid: () => '',
    random: () => 0,
  };
}

function* whole(rows: Iterable<RowVersion>): Generator<RowVersion, undefined> {
  yield* rows;
  return undefined;
}

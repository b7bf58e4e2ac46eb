import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DataType, plainType, type Row, SnowflakeSequence, systemClock, systemTimers } from '@kalamdb/protocol';
import type { GeneralCheck } from '@kalamdb/sql';
import { type LmdbStore, memoryLogImage, openLmdbStore, openMemoryLog } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { createTable, NO_OPTIONS, type StoredColumn, type Table, type TableColumn } from '../../catalog/table.ts';
import type { Principal } from '../../contract.ts';
import { SeqReservation } from '../../sequencer/seq-reservation.ts';
import { Sequencer } from '../../sequencer/sequencer.ts';
import { type GeneralAnswer, GeneralExecutor, type GeneralExecutorSources } from './general-executor.ts';
import type { GeneralRequest } from './general-request.ts';

/** A row that is written: its cells, and whether it ends the row with its key. */
export interface WrittenRow {
  readonly cells: Row;
  readonly deleted?: boolean;
}

/** A table of a query: `k0`, `k1` … in their order. */
export interface ReadTable {
  readonly table: Table;
  readonly owner?: string;
  readonly maskedCells?: readonly number[];
  readonly checks?: readonly (readonly GeneralCheck[])[];
}

const ANN: Principal = { userId: 'ann', role: 'user' };

function column(id: number, name: string, type: DataType, extra: Partial<TableColumn> = {}): TableColumn {
  return {
    id,
    name,
    type,
    nullable: true,
    primaryKey: false,
    default: undefined,
    system: undefined,
    ordinal: id,
    comment: undefined,
    ...extra,
  };
}

/** A column of a table of a test; the first one of a table is its key. */
export interface GivenColumn {
  readonly id: number;
  readonly type: DataType;
  readonly fill?: TableColumn['fill'];
}

/** A table whose columns are called `c` and their id, then `_seq` and `_deleted`. */
export function tableWith(
  id: number,
  columns: readonly GivenColumn[],
  rest: { readonly version?: number; readonly olderVersions?: ReadonlyMap<number, readonly StoredColumn[]> } = {},
): Table {
  return createTable({
    id,
    version: 1,
    namespace: 'app',
    name: `t${id}`,
    kind: 'user',
    storedColumns: columns.map(({ id: place, type, fill }, index) =>
      column(place, `c${place}`, type, {
        ...(fill === undefined ? {} : { fill }),
        ...(index === 0 ? { primaryKey: true, nullable: false } : {}),
      }),
    ),
    systemColumns: [
      column(900, '_seq', plainType('bigint'), { system: '_seq', nullable: false }),
      column(901, '_deleted', plainType('boolean'), { system: '_deleted', nullable: false }),
    ],
    options: NO_OPTIONS,
    createdAtMicros: 0n,
    updatedAtMicros: 0n,
    ...rest,
  });
}

/** A sequencer on a real hot tier, and an executor whose thread reads it. */
export class PartitionWorld {
  readonly sequencer: Sequencer;
  readonly executor: GeneralExecutor;
  readonly #directory: string;
  readonly #hot: LmdbStore;

  private constructor(directory: string, hot: LmdbStore, options: Partial<GeneralExecutorSources>) {
    this.#directory = directory;
    this.#hot = hot;
    const random = new SeededRandom(1);
    this.sequencer = new Sequencer({
      log: openMemoryLog({ random, startSeq: 0n, image: memoryLogImage(random) }),
      hot,
      sequence: new SnowflakeSequence({ clock: systemClock, node: 1 }),
      durability: 'relaxed',
      clock: systemClock,
      timers: systemTimers,
      reservation: new SeqReservation(0n),
      warn: (text) => {
        throw new Error(text);
      },
    });
    const { snapshots, slices } = this.sequencer;
    const environment = { clock: systemClock, timers: systemTimers };
    this.executor = new GeneralExecutor({ ...environment, snapshots, slices, hotPath: directory, cores: 2, ...options });
  }

  static async open(options: Partial<GeneralExecutorSources> = {}): Promise<PartitionWorld> {
    const directory = mkdtempSync(join(tmpdir(), 'kalamdb-general-'));
    return new PartitionWorld(directory, await openLmdbStore({ path: directory }), options);
  }

  async close(): Promise<void> {
    await this.executor.close();
    await this.sequencer.close();
    await this.#hot.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Commits rows of one owner. */
  async put(table: Table, rows: readonly WrittenRow[], owner = 'ann'): Promise<void> {
    await this.sequencer.submit((draft) => {
      for (const { cells, deleted = false } of rows) draft.put(table, table.partitionFor(owner), { cells, deleted });
    });
  }

  /** Brings everything to the hot tier. */
  async apply(): Promise<void> {
    await this.sequencer.flush();
  }

  request(text: string, tables: readonly ReadTable[] = [], outputs?: GeneralRequest['plan']['outputs']): GeneralRequest {
    const sources = tables.map(({ table, owner = 'ann', maskedCells = [] }, index) => ({
      name: `k${index}`,
      grant: { table, partition: table.partitionFor(owner), maskedCells },
      computed: undefined,
    }));
    return {
      plan: {
        kind: 'general',
        text,
        sources: tables.map(({ table, checks }, index) => ({ name: `k${index}`, table, checks })),
        parameters: [],
        outputs,
        mentionsUser: false,
        limited: false,
      },
      sources,
      principal: ANN,
      open: () => this.sequencer.snapshots.open(),
      assertCurrent: () => undefined,
      rowsMax: undefined,
    };
  }

  run(text: string, tables: readonly ReadTable[] = []): Promise<GeneralAnswer> {
    return this.executor.run(this.request(text, tables));
  }

  /** Every row of a table in the order of writing, each cell as its column has it. */
  all(table: Table): Promise<GeneralAnswer> {
    const outputs = table.columns.map((one) => ({ name: one.name, column: one, type: undefined }));
    const text = `SELECT ${table.columns.map(({ name }) => `k."${name}"`).join(', ')} FROM "k0" AS k ORDER BY k."_seq"`;
    return this.executor.run(this.request(text, [{ table }], outputs));
  }

  /** Names of the tables that are kept in the thread, with the number of their columns. */
  async kept(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.run("SELECT table_name, column_count FROM duckdb_tables() WHERE schema_name = 'kept' ORDER BY 1");
    return new Map(rows.map(([name, columns]) => [String(name), Number(columns)]));
  }
}

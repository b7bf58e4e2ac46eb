import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Cell,
  type Clock,
  KalamError,
  plainType,
  type Row,
  rowCodec,
  SnowflakeSequence,
  systemClock,
  systemTimers,
} from '@kalamdb/protocol';
import { type EvalContext, initParser, type SelectPlan, StatementCompiler } from '@kalamdb/sql';
import { type LmdbStore, memoryLogImage, openLmdbStore, openMemoryLog, type PartitionId, systemFiles } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import type { Grant } from '../access/grant.ts';
import { createTable, NO_OPTIONS, type Table, type TableColumn } from '../catalog/table.ts';
import type { Snapshot } from '../partition/snapshot.ts';
import { SeqReservation } from '../sequencer/seq-reservation.ts';
import { Sequencer } from '../sequencer/sequencer.ts';
import { finishSteps } from '../slices/steps.ts';
import { SpoolFolder } from './answer-spool.ts';
import { rowAccess } from './granted-rows.ts';
import { type FoundRows, isStream, QueryRunner, type QueryRunnerSources, type SelectRequest } from './query-runner.ts';
import { NO_ROW_LIMITS } from './row-limits.ts';
import { selectSteps } from './select-steps.ts';

const column = (id: number, name: string, type: TableColumn['type'], extra: Partial<TableColumn> = {}): TableColumn => ({
  id,
  name,
  type,
  nullable: name !== 'id',
  primaryKey: name === 'id',
  default: undefined,
  system: undefined,
  ordinal: id,
  comment: undefined,
  ...extra,
});

const OLD_COLUMNS = [column(1, 'id', plainType('bigint')), column(2, 'dropped', plainType('text')), column(3, 'n', plainType('int'))];
const COLUMNS = [
  column(1, 'id', plainType('bigint')),
  column(3, 'n', plainType('int')),
  column(4, 'kind', plainType('text'), { default: { kind: 'literal', literal: 'string', text: 'x' } as never }),
  column(5, 'price', { kind: 'decimal', precision: 10, scale: 2 }),
  column(6, 'data', plainType('bytes')),
];

/** Version 2 of a table whose version 1 had another column and fewer. */
export const TABLE: Table = createTable({
  id: 1000,
  version: 2,
  namespace: 'app',
  name: 't',
  kind: 'shared',
  storedColumns: COLUMNS,
  systemColumns: [
    column(7, '_seq', plainType('bigint'), { system: '_seq', nullable: false }),
    column(8, '_deleted', plainType('boolean'), { system: '_deleted', nullable: false }),
  ],
  options: NO_OPTIONS,
  createdAtMicros: 0n,
  updatedAtMicros: 0n,
  olderVersions: new Map([[1, OLD_COLUMNS]]),
});

const OLD_LAYOUT = { ...TABLE, codec: rowCodec(1, OLD_COLUMNS) };
const PARTITION: PartitionId = TABLE.partitionFor('');
const GRANT: Grant = { table: TABLE, partition: PARTITION, maskedCells: [] };

/** What a query came to. */
export type Outcome = { readonly rows: readonly Row[] } | { readonly code: string; readonly message: string; readonly position: unknown };

export function failureOf(error: unknown): Outcome {
  if (!(error instanceof KalamError)) throw error;
  return { code: error.code, message: error.message, position: error.position };
}

/** A clock on which every look takes a millisecond, so that slices end after a few steps whatever the machine. */
export function hastyClock(): Clock {
  let millis = 0;
  return { now: () => systemClock.now(), elapsed: () => ++millis };
}

/** A sequencer on a real hot tier in a folder of its own, and runners over it. */
export class ScanWorld {
  readonly hot: LmdbStore;
  readonly sequencer: Sequencer;
  readonly #directory: string;
  readonly #compiler = new StatementCompiler({ plansMax: 100 });
  readonly #runners: QueryRunner[] = [];

  private constructor(directory: string, hot: LmdbStore) {
    this.#directory = directory;
    this.hot = hot;
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
  }

  static async open(): Promise<ScanWorld> {
    await initParser();
    const directory = mkdtempSync(join(tmpdir(), 'kalamdb-scan-'));
    return new ScanWorld(directory, await openLmdbStore({ path: directory }));
  }

  /** A runner that is closed with the world. */
  runner(options: Partial<QueryRunnerSources> & { readonly threaded: boolean }): QueryRunner {
    const { threaded, ...sources } = options;
    const runner = new QueryRunner({
      snapshots: this.sequencer.snapshots,
      clock: systemClock,
      timers: systemTimers,
      hotPath: threaded ? this.#directory : undefined,
      spool: new SpoolFolder(systemFiles, join(this.#directory, 'spool')),
      ...sources,
    });
    this.#runners.push(runner);
    return runner;
  }

  async put(rows: readonly { readonly cells: Row; readonly deleted?: boolean; readonly old?: boolean }[]): Promise<void> {
    await this.sequencer.submit((draft) => {
      for (const { cells, deleted = false, old = false } of rows) draft.put(old ? OLD_LAYOUT : TABLE, PARTITION, { cells, deleted });
    });
  }

  /** The plain executor at a snapshot. */
  plain(sql: string, snapshot: Snapshot): Outcome {
    try {
      const { plan, evaluation } = this.#compile(sql);
      const access = rowAccess(TABLE, plan, evaluation);
      const kept = { view: (table: Table, partition: PartitionId) => snapshot.view(table, partition), close: () => undefined };
      return {
        rows: finishSteps(selectSteps({ plan, grant: GRANT, access, evaluation }, () => kept)),
      };
    } catch (error) {
      return failureOf(error);
    }
  }

  /** The query on a runner; throws or rejects as it does. */
  select(
    runner: QueryRunner,
    sql: string,
    extra: Partial<Pick<SelectRequest, 'signal' | 'assertCurrent'>> = {},
  ): readonly Row[] | Promise<readonly Row[]> {
    return runner.select(this.#request(sql, extra));
  }

  /** {@link select} whose rows may be a stream. */
  async stream(runner: QueryRunner, sql: string, extra: Partial<Pick<SelectRequest, 'signal'>> = {}): Promise<FoundRows> {
    return runner.stream(this.#request(sql, extra));
  }

  /** What a stream came to, read to its end, and how many batches it had; 0: it was none. */
  async streamOutcome(runner: QueryRunner, sql: string): Promise<{ readonly outcome: Outcome; readonly batches: number }> {
    let batches = 0;
    try {
      const found = await this.stream(runner, sql);
      if (!isStream(found)) return { outcome: { rows: found }, batches };
      try {
        const rows: Row[] = [];
        for (let batch = await found.next(); batch !== undefined; batch = await found.next()) {
          batches += 1;
          rows.push(...batch);
        }
        return { outcome: { rows }, batches };
      } finally {
        await found.close();
      }
    } catch (error) {
      return { outcome: failureOf(error), batches };
    }
  }

  async outcome(runner: QueryRunner, sql: string): Promise<Outcome> {
    try {
      return { rows: await this.select(runner, sql) };
    } catch (error) {
      return failureOf(error);
    }
  }

  async close(): Promise<void> {
    for (const runner of this.#runners) await runner.close();
    await this.sequencer.close();
    await this.hot.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #request(sql: string, extra: Partial<SelectRequest>): SelectRequest {
    const { plan, evaluation } = this.#compile(sql);
    return {
      plan,
      grant: GRANT,
      evaluation,
      open: undefined,
      statement: { text: sql, namespace: 'app', parameters: [], rowLimits: NO_ROW_LIMITS },
      assertCurrent: () => undefined,
      ...extra,
    };
  }

  #compile(sql: string): { readonly plan: SelectPlan; readonly evaluation: EvalContext } {
    const catalog = { hasNamespace: () => true, table: (_: string, name: string) => (name === 't' ? TABLE : undefined) };
    const compiled = this.#compiler.compile(sql, { catalog, namespace: 'app', parameters: [] });
    if (compiled.kind !== 'plan' || compiled.plan.kind !== 'select') throw new Error('not a SELECT');
    return { plan: compiled.plan, evaluation: evaluationOf(compiled.parameters) };
  }
}

function evaluationOf(parameters: readonly Cell[]): EvalContext {
  return {
    parameters,
    nowMicros: 1_700_000_000_000_000n,
    userId: 'ann',
    role: 'user',
    snowflakeId: () => 1n,
    uuidV7: () => '',
    ulid: () => '',
    random: () => 0.5,
  };
}

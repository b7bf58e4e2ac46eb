import type { Row } from '@kalamdb/protocol';
import { type EvalContext, type SelectPlan, StatementCompiler } from '@kalamdb/sql';
import type { HotReader, HotSnapshot } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import { PartitionOverlay } from '../partition/overlay.ts';
import { MergedView } from '../partition/partition-view.ts';
import type { Steps } from '../slices/steps.ts';
import { largeAccess, rowAccess } from './granted-rows.ts';
import { ReceivedTables } from './received-tables.ts';
import { bytesOfChunks, ChunkWriter, chunksOfRows, rowsOfChunk, transferList } from './row-chunks.ts';
import { limitedPlan } from './row-limits.ts';
import type { ScanControl } from './scan-control.ts';
import { type ScanAnswer, type ScanCall, type ScanQuery, sentError, versionOf } from './scan-messages.ts';
import { type GrantedSelect, type ScanProgress, selectSteps, selectStepsTo } from './select-steps.ts';

/** Plans that are kept for queries of the same shape. */
const PLANS_MAX = 200;

/** Bytes after which a part of an answer is sent on: some thousand rows. */
const PART_BYTES = 65_536;

/** Thrown by what only the main thread may answer: ids and random numbers of one source. */
class Declined extends Error {}

const decline = (): never => {
  throw new Declined();
};

/** How the thread answers. */
export type ScanReply = (answer: ScanAnswer, transfer?: ArrayBuffer[]) => void;

interface Current {
  readonly id: number;
  readonly query: ScanQuery;
  readonly hot: HotSnapshot;
}

/** The thread's side of the conversation: opens its view first, then waits for the versions above it, then runs the query. */
export class ScanSession {
  readonly #reader: HotReader;
  readonly #reply: ScanReply;
  readonly #control: ScanControl;
  readonly #compiler = new StatementCompiler({ plansMax: PLANS_MAX });
  readonly #tables = new ReceivedTables();
  #current: Current | undefined;

  constructor(reader: HotReader, reply: ScanReply, control: ScanControl) {
    this.#reader = reader;
    this.#reply = reply;
    this.#control = control;
  }

  handle(call: Exclude<ScanCall, { kind: 'close' }>): void {
    switch (call.kind) {
      case 'query':
        this.#open(call.id, call.query);
        break;
      case 'recent':
        if (this.#current?.id === call.id) this.#run(this.#current, call);
        break;
      case 'abandon':
        if (this.#current?.id !== call.id) break;
        this.#end();
        this.#reply({ kind: 'stopped', id: call.id });
        break;
      default:
        call satisfies never;
    }
  }

  #open(id: number, query: ScanQuery): void {
    try {
      const hot = this.#reader.snapshot();
      this.#current = { id, query, hot };
      this.#reply({ kind: 'opened', id, appliedSeq: hot.appliedSeq });
    } catch (error) {
      this.#reply({ kind: 'failed', id, error: sentError(error) });
    }
  }

  #end(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.hot.close();
  }

  #run(current: Current, recent: Extract<ScanCall, { kind: 'recent' }>): void {
    const { id } = current;
    const progress: ScanProgress = { rows: 0 };
    try {
      const chunks = this.#unlessStopped(id, this.#answerSteps(current, recent, progress));
      if (chunks === undefined) this.#reply({ kind: 'stopped', id });
      else this.#reply({ kind: 'rows', id, chunks, rowsRead: progress.rows }, transferList(chunks));
    } catch (error) {
      this.#reply(error instanceof Declined ? { kind: 'declined', id } : { kind: 'failed', id, error: sentError(error) });
    } finally {
      this.#end();
    }
  }

  #unlessStopped<T>(id: number, steps: Steps<T>): T | undefined {
    for (;;) {
      if (this.#control.isStopped(id)) {
        steps.return(undefined as never);
        return undefined;
      }
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  *#answerSteps(current: Current, recent: Extract<ScanCall, { kind: 'recent' }>, progress: ScanProgress): Steps<Uint8Array[]> {
    const { query, hot } = current;
    const overlay = new PartitionOverlay();
    for (const chunk of recent.chunks) {
      for (const row of rowsOfChunk(chunk)) overlay.add(versionOf(row));
      yield;
    }
    const { partition } = query;
    const source = {
      view: (table: Table) => new MergedView({ layout: table, partition, hot, overlay, watermark: recent.watermark }),
      // The view belongs to this session, which ends it on every path.
      close: () => undefined,
    };
    const select = this.#select(query);
    if (!query.streams) return yield* chunksOfRows(yield* selectSteps(select, () => source, progress));
    const writer = new ChunkWriter();
    yield* selectStepsTo(
      select,
      () => source,
      (rows) => this.#sendOn(current.id, writer, rows),
      progress,
    );
    return writer.take();
  }

  #sendOn(id: number, writer: ChunkWriter, rows: readonly Row[]): void {
    for (const row of rows) {
      writer.add(row);
      if (writer.readyBytes < PART_BYTES) continue;
      const chunks = writer.takeReady();
      this.#control.sent(bytesOfChunks(chunks));
      this.#reply({ kind: 'part', id, chunks }, transferList(chunks));
      this.#control.waitForRoom(id);
    }
  }

  #select(query: ScanQuery): GrantedSelect {
    const table = this.#tables.of(query.table);
    const { text, namespace, parameters, rowLimits, partition, maskedCells, nowMicros, userId, role } = query;
    const compiled = this.#compiler.compile(text, {
      namespace,
      parameters,
      catalog: {
        hasNamespace: (name) => name === table.namespace,
        table: (owner, name) => (owner === table.namespace && name === table.name ? table : undefined),
      },
    });
    const plan = limitedPlan(selectOf(compiled), rowLimits);
    const evaluation: EvalContext = {
      parameters: compiled.kind === 'plan' ? compiled.parameters : [],
      nowMicros,
      userId,
      role,
      snowflakeId: decline,
      uuidV7: decline,
      ulid: decline,
      random: decline,
    };
    return { plan, grant: { table, partition, maskedCells }, access: largeAccess(rowAccess(table, plan, evaluation), plan), evaluation };
  }
}

/** The SELECT of a statement; whatever else it may be stays with the main thread. */
function selectOf(compiled: ReturnType<StatementCompiler['compile']>): SelectPlan {
  if (compiled.kind !== 'plan' || compiled.plan.kind !== 'select') throw new Declined();
  return compiled.plan;
}

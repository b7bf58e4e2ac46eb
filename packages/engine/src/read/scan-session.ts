import { deserialize } from 'node:v8';
import { type EvalContext, type SelectPlan, StatementCompiler } from '@kalamdb/sql';
import type { HotReader, HotSnapshot } from '@kalamdb/storage';
import { createTable, type Table } from '../catalog/table.ts';
import { PartitionOverlay } from '../partition/overlay.ts';
import { MergedView } from '../partition/partition-view.ts';
import type { Steps } from '../slices/steps.ts';
import { largeAccess, rowAccess } from './granted-rows.ts';
import { chunksOfRows, rowsOfChunk, transferList } from './row-chunks.ts';
import { limitedPlan } from './row-limits.ts';
import { type ScanAnswer, type ScanCall, type ScanQuery, sentError, versionOf } from './scan-messages.ts';
import { type GrantedSelect, type ScanProgress, selectSteps } from './select-steps.ts';

/** Plans that are kept for queries of the same shape. */
const PLANS_MAX = 200;
/** Tables that are kept for the next query on them. */
const TABLES_MAX = 200;

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
  /** Whether the query is to stop; asked at each step. */
  readonly #isStopped: (id: number) => boolean;
  readonly #compiler = new StatementCompiler({ plansMax: PLANS_MAX });
  /** By id and version: the compiler wants the very same object. */
  readonly #tables = new Map<string, Table>();
  #current: Current | undefined;

  constructor(reader: HotReader, reply: ScanReply, isStopped: (id: number) => boolean) {
    this.#reader = reader;
    this.#reply = reply;
    this.#isStopped = isStopped;
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
      if (this.#isStopped(id)) {
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
    const rows = yield* selectSteps(this.#select(query), () => source, progress);
    return yield* chunksOfRows(rows);
  }

  #select(query: ScanQuery): GrantedSelect {
    const table = this.#table(query);
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

  #table({ table: { id, version, spec } }: ScanQuery): Table {
    const name = `${id}/${version}`;
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = createTable(deserialize(spec));
    const [oldest] = this.#tables.keys();
    if (this.#tables.size >= TABLES_MAX && oldest !== undefined) this.#tables.delete(oldest);
    this.#tables.set(name, table);
    return table;
  }
}

/** The SELECT of a statement; whatever else it may be stays with the main thread. */
function selectOf(compiled: ReturnType<StatementCompiler['compile']>): SelectPlan {
  if (compiled.kind !== 'plan' || compiled.plan.kind !== 'select') throw new Declined();
  return compiled.plan;
}

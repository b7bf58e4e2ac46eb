import { type Clock, type KalamError, kalamError, type Timer, type Timers } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { ColdLookUps } from '../cold/cold-look-ups.ts';
import type { RowVersion } from '../contract.ts';
import { ColdRowsNeeded, LookedUp } from '../partition/cold-rows.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import { StaleLayout } from '../partition/row-layout.ts';
import type { Snapshot } from '../partition/snapshot.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { OpenSource } from '../read/select-steps.ts';
import { type DraftWrite, ROW_BYTES_MAX } from '../sequencer/draft.ts';
import { LARGE_COMMIT_ROWS, LARGE_COMMIT_TEXT_UNITS } from '../sequencer/large-commit.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';
import { StalePlan } from '../write/write-context.ts';
import type { RowWriter, WriteSize, WriteTarget } from '../write/write-target.ts';
import { commitWrites, tableChanged } from './commit-writes.ts';
import { OwnView } from './own-view.ts';
import { OwnWrites, type UndoMark } from './own-writes.ts';

/** Rows that a statement buffers without leaving the turn of the event loop. */
const ROWS_AT_ONCE_MAX = 200;
/** Savepoints that one transaction may hold. */
export const SAVEPOINTS_MAX = 1000;

/** What bounds a transaction. */
export interface TransactionLimits {
  /** Heap bytes of writes that it may hold before COMMIT. */
  readonly bufferBytesMax: number;
  /** Milliseconds between two of its statements. */
  readonly idleMillisMax: number;
}

/** What transactions work with. */
export interface TransactionSources {
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  /** Runs statements and commits of many rows in slices. */
  readonly queries: Pick<QueryRunner, 'run'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly limits: TransactionLimits;
  /** Absent: there is no cold tier. */
  readonly cold?: ColdLookUps | undefined;
  /** Whether this is the newest version of the table. */
  isCurrent(table: Table): boolean;
}

/** Who a transaction is and whom it tells that it has ended. */
export interface TransactionIdentity {
  /** UUID of version 7. */
  readonly id: string;
  /** The request it belongs to. */
  readonly owner: string;
  /** Called once, when it lets go of its snapshot and its writes. */
  readonly ended: () => void;
}

/** A transaction as `system.transactions` shows it. */
export interface TransactionFigures {
  readonly id: string;
  readonly owner: string;
  readonly ageMillis: number;
  readonly idleMillis: number;
  readonly writeCount: number;
  readonly writeBytes: number;
  readonly touchedTables: number;
  readonly snapshotSeq: bigint;
}

/** Open, or how it ended. */
type TransactionState = 'open' | 'committing' | 'committed' | 'rolled-back' | { readonly aborted: KalamError | undefined };

/**
 * An explicit transaction: reads at the watermark of its BEGIN plus its own writes; COMMIT makes the writes one commit,
 * unless somebody else has committed one of its rows first. Statements come one at a time. States and invariants: SPEC.md
 * beside this file.
 */
export class Transaction implements WriteTarget {
  readonly id: string;
  readonly #identity: TransactionIdentity;
  readonly #sources: TransactionSources;
  readonly #snapshot: Snapshot;
  readonly #writes = new OwnWrites();
  /** Table id -> the version of the table that its first statement was planned for. */
  readonly #tables = new Map<number, Table>();
  /** Newest last; one name may stand several times, the newest counts. */
  #savepoints: { readonly name: string; readonly mark: UndoMark }[] = [];
  readonly #beganMillis: number;
  #usedMillis: number;
  /** Statements that are reading now. */
  #openSources = 0;
  #timer: Timer | undefined;
  /** Own versions are numbered on from the snapshot, in the order of the statements. */
  #seq: bigint;
  #state: TransactionState = 'open';
  /** What the running statement may need of the cold tier. */
  #cold = new LookedUp();

  constructor(identity: TransactionIdentity, sources: TransactionSources) {
    this.id = identity.id;
    this.#identity = identity;
    this.#sources = sources;
    this.#beganMillis = sources.clock.elapsed();
    this.#usedMillis = this.#beganMillis;
    this.#snapshot = sources.sequencer.snapshots.open();
    this.#seq = this.#snapshot.seq;
    this.#watchIdle(sources.limits.idleMillisMax);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  figures(): TransactionFigures {
    const now = this.#sources.clock.elapsed();
    return {
      id: this.id,
      owner: this.#identity.owner,
      ageMillis: now - this.#beganMillis,
      idleMillis: now - this.#usedMillis,
      writeCount: this.#writes.rows,
      writeBytes: this.#writes.bytes,
      touchedTables: this.#tables.size,
      snapshotSeq: this.#snapshot.seq,
    };
  }

  /** As {@link WriteTarget}; while it is open the transaction is not idle. */
  open(): OpenSource {
    this.#use();
    let isOpen = true;
    this.#openSources += 1;
    return {
      view: (table, partition) => this.#view(table, partition),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#openSources -= 1;
        this.#usedMillis = this.#sources.clock.elapsed();
      },
    };
  }

  /** As {@link WriteTarget}, but what `work` throws aborts the transaction, so that nothing of it is left behind either. */
  async write<T>(size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const { table, partition, rowsMax, textUnits = 0 } = size;
    this.#use();
    const writer: RowWriter = {
      latest: (of, partition, key) => this.#latest(of, partition, key),
      put: (of, partition, write) => this.#put(of, partition, write),
    };
    try {
      this.#touch(table);
      const { queries } = this.#sources;
      await this.#lookUp(size);
      const isSmall = rowsMax <= ROWS_AT_ONCE_MAX && textUnits <= LARGE_COMMIT_TEXT_UNITS;
      const result = isSmall ? finishSteps(work(writer)) : await queries.run(this.#whileOpen(work(writer)));
      const own = this.#writes.partition(partition);
      if (own?.isUnsorted === true) await queries.run(this.#whileOpen(own.sort()));
      return result;
    } catch (error) {
      const failure = outrun(error);
      if (this.isOpen) this.#end({ aborted: failure });
      throw failure ?? error;
    }
  }

  /** The snapshot's manifest stays what it is, so whatever the statement needs is known before it writes. */
  async #lookUp(size: WriteSize): Promise<void> {
    const { cold } = this.#sources;
    if (cold?.mayHave(size.partition) !== true) return;
    const { table, partition, keys = [], known } = size;
    this.#cold = new LookedUp();
    this.#openSources += 1;
    try {
      await cold.lookUpAt(this.#snapshot, { table, partition, keys, known }, this.#cold);
    } finally {
      this.#openSources -= 1;
    }
    this.#use();
  }

  /** As {@link WriteTarget}: nobody else changes what it sees anyway. */
  alone<T>(_partition: PartitionId, statement: (target: WriteTarget) => Promise<T>): Promise<T> {
    return statement(this);
  }

  /** The steps of a statement, during which the transaction is not idle; they end when it does. */
  *#whileOpen<T>(steps: Steps<T>): Steps<T> {
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) return step.value;
      yield;
      this.#use();
    }
  }

  /** Marks the present point under a name. */
  savepoint(name: string): void {
    this.#use();
    if (this.#savepoints.length === SAVEPOINTS_MAX) {
      throw this.#aborted(kalamError('INVALID_OPERATION', { reason: `a transaction holds at most ${SAVEPOINTS_MAX} savepoints` }));
    }
    this.#savepoints.push({ name, mark: this.#writes.mark() });
  }

  /** Takes back what was written since the newest savepoint of that name, which stays; later ones are gone. */
  async rollbackTo(name: string): Promise<void> {
    const index = this.#savepointIndex(name);
    const found = this.#savepoints[index];
    if (found === undefined) return;
    try {
      await this.#sources.queries.run(this.#whileOpen(this.#writes.undoTo(found.mark)));
    } catch (error) {
      // Half of it is taken back.
      if (this.isOpen) this.#end({ aborted: undefined });
      throw error;
    }
    this.#savepoints = this.#savepoints.slice(0, index + 1);
  }

  /** Forgets the newest savepoint of that name and later ones; what was written since stays. */
  release(name: string): void {
    this.#savepoints = this.#savepoints.slice(0, this.#savepointIndex(name));
    if (this.#savepoints.length === 0) this.#writes.forgetUndo();
  }

  /**
   * Writes everything as one commit and resolves when it is durable. Throws CONFLICT or DUPLICATE_KEY when somebody else
   * was first, and what the sequencer throws; the transaction has ended in any case.
   */
  async commit(committed?: (seq: bigint) => void): Promise<void> {
    this.#use();
    const { sequencer, latches, queries, cold } = this.#sources;
    const tables = [...this.#tables.values()];
    const snapshotSeq = this.#snapshot.seq;
    this.#state = 'committing';
    // What the turn compares with is known by now: the hot tier need not keep this view while the commit waits.
    this.#snapshot.close();
    try {
      const gathered = this.#writes.changes();
      const own = this.#writes.rows <= LARGE_COMMIT_ROWS ? finishSteps(gathered) : await queries.run(gathered);
      const isCurrent = (table: Table): boolean => this.#sources.isCurrent(table);
      await commitWrites({ sequencer, latches, queries, cold, isCurrent, committed }, { ...own, tables, snapshotSeq });
      this.#end('committed');
    } catch (error) {
      this.#end({ aborted: undefined });
      throw error;
    }
  }

  /** Ends the transaction without a trace. Does nothing when it has ended. */
  rollback(): void {
    if (this.isOpen) this.#end('rolled-back');
  }

  /** Ends the transaction without a trace; later calls fail with the error. Does nothing when it has ended. */
  abort(error: KalamError): void {
    if (this.isOpen) this.#end({ aborted: error });
  }

  /** Every call of a statement begins here: the transaction must be open, and it is not idle. */
  #use(): void {
    const { clock, limits } = this.#sources;
    const now = clock.elapsed();
    if (this.isOpen && this.#openSources === 0 && now - this.#usedMillis >= limits.idleMillisMax) this.#timeOut();
    if (typeof this.#state === 'object') throw this.#state.aborted ?? kalamError('TRANSACTION_ABORTED', { id: this.id });
    if (!this.isOpen) throw kalamError('INTERNAL_ERROR', { reason: `transaction ${this.id} has ended: ${this.#state}` });
    this.#usedMillis = now;
  }

  #view(table: Table, partition: PartitionId): PartitionView {
    this.#touch(table);
    const view = this.#snapshot.view(table, partition);
    const own = this.#writes.partition(partition);
    return own === undefined ? view : new OwnView(view, own);
  }

  #latest(table: Table, partition: PartitionId, key: RowKey): RowVersion | undefined {
    return this.#writes.partition(partition)?.get(key)?.version ?? this.#base(table, partition, key);
  }

  /** What the snapshot has under a key. */
  #base(table: Table, partition: PartitionId, key: RowKey): RowVersion | undefined {
    const view = this.#snapshot.view(table, partition);
    const hot = view.get(key);
    return hot !== undefined || view.manifest === undefined ? hot : this.#cold.find(partition, view.manifest, key);
  }

  #put(table: Table, partition: PartitionId, write: DraftWrite): RowVersion {
    const { bufferBytesMax } = this.#sources.limits;
    const seq = this.#seq + 1n;
    const key = write.key ?? table.keyOf(write.cells, seq);
    const bytes = table.codec.encode(write.cells);
    if (bytes.byteLength > ROW_BYTES_MAX) throw kalamError('ROW_TOO_LARGE', { bytes: bytes.byteLength, bytesMax: ROW_BYTES_MAX });
    const own = this.#writes.partition(partition)?.get(key);
    const base = own === undefined ? this.#base(table, partition, key) : own.base;
    const createdSeq = own?.version.createdSeq ?? base?.createdSeq ?? seq;
    const { masks } = own?.version ?? base ?? {};
    const version: RowVersion = { key, seq, createdSeq, deleted: write.deleted ?? false, cells: write.cells, masks };
    this.#writes.put({ table, partition, version, base, bytes, upsert: write.upsert ?? own?.upsert ?? false }, this.#savepoints.length > 0);
    this.#seq = seq;
    if (this.#writes.bytes > bufferBytesMax)
      throw this.#aborted(kalamError('TRANSACTION_TOO_LARGE', { id: this.id, bytesMax: bufferBytesMax }));
    return version;
  }

  /** All statements must be about one version of a table: own writes have its columns. */
  #touch(table: Table): void {
    const known = this.#tables.get(table.id);
    if (known === undefined) this.#tables.set(table.id, table);
    else if (known !== table) throw tableChanged(table);
  }

  #savepointIndex(name: string): number {
    this.#use();
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (index < 0) throw this.#aborted(kalamError('SAVEPOINT_NOT_FOUND', { name }));
    return index;
  }

  /** Ends the transaction with an error, which is given back to be thrown. */
  #aborted(error: KalamError): KalamError {
    this.abort(error);
    return error;
  }

  #watchIdle(millis: number): void {
    this.#timer = this.#sources.timers.after(millis, () => {
      const { clock, limits } = this.#sources;
      const idle = this.#openSources > 0 ? 0 : clock.elapsed() - this.#usedMillis;
      const left = limits.idleMillisMax - idle;
      if (left <= 0) this.#timeOut();
      else this.#watchIdle(left);
    });
  }

  #timeOut(): void {
    this.abort(kalamError('TRANSACTION_TIMED_OUT', { id: this.id, seconds: this.#sources.limits.idleMillisMax / 1000 }));
  }

  #end(state: Exclude<TransactionState, 'open' | 'committing'>): void {
    this.#state = state;
    this.#timer?.cancel();
    this.#snapshot.close();
    this.#writes.clear();
    this.#cold = new LookedUp();
    this.#savepoints = [];
    this.#identity.ended();
  }
}

/**
 * What a statement is told whose table is not what it was planned for, or of which other rows are needed than were looked up: run again by itself
 * it would only find the transaction aborted. `undefined`: it failed by itself.
 */
function outrun(error: unknown): KalamError | undefined {
  const isOutrun = error instanceof StalePlan || error instanceof StaleLayout || error instanceof ColdRowsNeeded;
  return isOutrun
    ? kalamError('CONFLICT', { reason: 'a table changed while a statement of the transaction ran' }, { cause: error })
    : undefined;
}

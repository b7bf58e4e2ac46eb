import { type Clock, KalamError, kalamError, type SnowflakeSequence, type Timers } from '@kalamdb/protocol';
import type { CommitLog, Durability, HotStore, LogEntry, PartitionId } from '@kalamdb/storage';
import type { ChangeSet, RowVersion } from '../contract.ts';
import type { LookedUp } from '../partition/cold-rows.ts';
import type { ManifestSource } from '../partition/manifest-source.ts';
import { Overlay } from '../partition/overlay.ts';
import { RowCache } from '../partition/row-cache.ts';
import { SnapshotSource } from '../partition/snapshot.ts';
import { StreamStore } from '../partition/stream-store.ts';
import { Slices } from '../slices/slices.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';
import { Applier } from './applier.ts';
import { Draft, type DraftedCommit, type DraftSources } from './draft.ts';
import { GROUP_COMMITS_MAX, GroupCounts, groupEntries, isShort, type PendingCommit, type SequencerFigures } from './group.ts';
import { LargeCommit, ProvisionalSequence, releasing } from './large-commit.ts';
import type { SeqReservation } from './seq-reservation.ts';
import { SpaceWaiters } from './space-waiters.ts';
import type { LargeOptions, SubmitOptions } from './submit-options.ts';
import { Tail } from './tail.ts';

/** Heap bytes of commits that are not in the hot tier; writers wait above it. */
export const OVERLAY_BYTES_MAX: number = 32 * 1024 * 1024;
/** Milliseconds a writer waits for the overlay before it fails with WRITES_BUSY. */
export const OVERLAY_WAIT_MILLIS = 1000;
/** Milliseconds that {@link Sequencer.settle} waits; less than writers wait for a latch that is held meanwhile. */
export const SETTLE_MILLIS = 10_000;

/** Above every `_seq`. */
const SEQ_MAX = (1n << 64n) - 1n;

/** What a sequencer is made of. */
export interface SequencerSources {
  readonly log: CommitLog;
  readonly hot: HotStore;
  readonly sequence: SnowflakeSequence;
  readonly durability: Durability;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Keeps the last `_seq` of stream commits, which leave no record, below what a restart begins at. */
  readonly reservation: SeqReservation;
  /** Which partitions have segments; absent: there is no cold tier. */
  readonly manifests?: ManifestSource | undefined;
  /** Heap weight of the ChangeSets kept for exact replay. */
  readonly tailBytesMax?: number | undefined;
  /** Heap weight of the decoded rows kept between reads. */
  readonly rowCacheBytesMax?: number | undefined;
  /** Something went wrong that no caller waits for. */
  readonly warn: (text: string, detail: object) => void;
}

/**
 * The one commit order. A turn is one synchronous call: it validates against everything that took its turn before, assigns
 * `_seq` and joins the current group. Groups are written one at a time; when one is in the log the watermark moves, and
 * observers and replies follow in commit order. States and invariants: SPEC.md beside this file.
 */
export class Sequencer {
  readonly snapshots: SnapshotSource;
  readonly streams: StreamStore;
  readonly rowCache: RowCache;
  /** The slices of the event loop, for the whole database: two of them would take twice as long a turn. */
  readonly slices: Slices;
  readonly #sources: SequencerSources;
  readonly #overlay = new Overlay();
  readonly #tail: Tail;
  readonly #applier: Applier;
  readonly #observers = new Set<(change: ChangeSet) => void>();
  /** Turns that are not durable yet, in order; the first ones may be in the group being written. */
  #pending: PendingCommit[] = [];
  /** Durable ChangeSets above the applied point that readers still need, oldest first. */
  #unapplied: ChangeSet[] = [];
  #overlayBytes = 0;
  #watermark: bigint;
  #writing: Promise<void> | undefined;
  /** A group that passes the watermark in slices: what has passed is on its way to the hot tier only behind the last of it. */
  #publishing: Promise<void> | undefined;
  readonly #spaceWaiters: SpaceWaiters;
  #tidying = false;
  #evicting = false;
  /** Set when the log may hold a commit that nobody was told of: nothing may follow it there. */
  #broken: KalamError | undefined;
  #stopped = false;
  readonly #counts = new GroupCounts();

  constructor(sources: SequencerSources) {
    this.#sources = sources;
    this.slices = new Slices(sources);
    this.#spaceWaiters = new SpaceWaiters(sources.timers);
    // The sequence begins above every stream commit there was, and so does the watermark: what streams held up to it is lost.
    this.#watermark = [sources.log.lastSeq, sources.hot.appliedSeq, sources.sequence.last].reduce((a, b) => (a > b ? a : b));
    this.#tail = new Tail(this.#watermark, sources.tailBytesMax);
    this.streams = new StreamStore(sources.clock, this.#watermark);
    this.rowCache = new RowCache(sources.rowCacheBytesMax);
    this.snapshots = new SnapshotSource({
      hot: sources.hot,
      overlay: this.#overlay,
      streams: this.streams,
      cache: this.rowCache,
      manifests: sources.manifests,
      watermark: () => this.#watermark,
    });
    this.#applier = new Applier({
      log: sources.log,
      hot: sources.hot,
      timers: sources.timers,
      events: {
        applied: () => void this.#trim(),
        failed: (error) => sources.warn('the hot tier could not be written; trying again', { error }),
      },
    });
  }

  /** Name of the newest commit that readers see. */
  get watermark(): bigint {
    return this.#watermark;
  }

  /** The newest `_seq` that was given out; commits between the watermark and it are pending. */
  get issuedSeq(): bigint {
    return this.#sources.sequence.last;
  }

  /** The error that every write gets since the log may hold a commit that nobody was told of; only another start helps. */
  get broken(): KalamError | undefined {
    return this.#broken;
  }

  get figures(): SequencerFigures {
    return { ...this.#counts.figures, overlayBytes: this.#overlayBytes, tailBytes: this.#tail.bytes };
  }

  /** The commits above `afterSeq` up to the watermark, all or at most so many; `undefined` when the tail does not reach back that far. */
  tail(afterSeq: bigint, commitsMax?: number): readonly ChangeSet[] | undefined {
    return this.#tail.after(afterSeq, commitsMax);
  }

  /** Calls `listener` for each commit, in order, when the watermark passes it and before its writer is answered. It must not throw. */
  observe(listener: (change: ChangeSet) => void): () => void {
    this.#observers.add(listener);
    return () => this.#observers.delete(listener);
  }

  /**
   * Runs one turn and resolves with its value when what it wrote, and everything it may have seen, is durable and below
   * the watermark. Rejects with what the turn threw (nothing happened then), with LOG_WRITE_FAILED (nothing happened, try
   * again), COMMIT_OUTCOME_UNKNOWN, or WRITES_BUSY or SHUTTING_DOWN before the turn ran.
   */
  submit<T>(turn: (draft: Draft) => T, options: SubmitOptions = {}): Promise<T> {
    return this.#isFull() ? this.#submitLater(turn, options) : this.#takeTurn(turn, options);
  }

  async #submitLater<T>(turn: (draft: Draft) => T, options: SubmitOptions): Promise<T> {
    // Looked at again in the very turn that writes: of many writers that wait together not all may go on.
    for (const end = this.#spaceWaitEnd(); this.#isFull(); ) await this.#waitForSpace(end);
    return this.#takeTurn(turn, options);
  }

  // Every commit comes through here: it makes no more promises than it needs.
  #takeTurn<T>(turn: (draft: Draft) => T, options: SubmitOptions): Promise<T> {
    if (this.#stopped) return Promise.reject(kalamError('SHUTTING_DOWN'));
    const draft = this.#openDraft(this.#sources.sequence, undefined, options.cold);
    let value: T;
    let drafted: DraftedCommit | undefined;
    try {
      value = turn(draft);
      if (!draft.isEmpty) this.#sources.reservation.extend(draft);
      drafted = draft.finish();
    } catch (error) {
      draft.release();
      return this.#youngestPending().then(() => Promise.reject(error));
    }
    const done = drafted === undefined ? this.#youngestPending() : this.#enqueue(drafted, options.alone ?? false);
    return done.then((failure) => {
      if (failure !== undefined) throw failure;
      if (drafted !== undefined) options.committed?.(drafted.change.seq);
      return value;
    });
  }

  /**
   * {@link submit} for a commit of many rows: `work` drafts it and `options.run` runs that in slices; only then it takes its turn,
   * which is short. The caller keeps every other writer, DDL too, away from the partitions that `work` writes until this has
   * settled. Each key may be written once. Rejects as `submit` does, and with what `options` throw.
   */
  async submitLarge<T>(work: (draft: Draft) => Steps<T>, options: LargeOptions): Promise<T> {
    for (const end = this.#spaceWaitEnd(); this.#isFull(); ) await this.#waitForSpace(end);
    // Whatever can still change or take back a row of these partitions is pending now; what it comes to is seen then.
    await this.#pending.at(-1)?.done;
    const draft = this.#openDraft(new ProvisionalSequence(), this.#sources.sequence, options.cold);
    let value: T;
    let drafted: DraftedCommit | undefined;
    try {
      value = await options.run(releasing(draft, work(draft)));
      drafted = await options.run(draft.finishInSteps());
    } finally {
      draft.release();
    }
    if (drafted === undefined) return value;
    const large = new LargeCommit(drafted, this.#overlay);
    const failure = await this.#takeLargeTurn(large, options);
    if (failure !== undefined) throw failure;
    options.committed?.(large.change.seq);
    return value;
  }

  async #takeLargeTurn(large: LargeCommit, options: LargeOptions): Promise<KalamError | undefined> {
    try {
      await options.run(large.prepare());
      for (;;) {
        if (this.#stopped) throw kalamError('SHUTTING_DOWN');
        options.check?.();
        const run = this.#sources.sequence.take(large.rows);
        const last = run.at(large.rows - 1);
        if (large.drafted.streams.length === 0 || this.#sources.reservation.covers(last)) {
          large.ready = Promise.resolve(this.slices.runFirst(large.number(run)));
          break;
        }
        await this.submit((draft) => this.#sources.reservation.reserve(draft, last));
      }
    } catch (error) {
      await this.slices.runFirst(large.leave());
      throw error;
    }
    return this.#enqueue(large.drafted, false, large);
  }

  /** Versions of a partition that took their turn and are not below the watermark yet. */
  pendingVersions(partition: PartitionId): Iterable<RowVersion> {
    return this.#overlay.partition(partition)?.above(this.#watermark, SEQ_MAX) ?? [];
  }

  /** Forgets expired events of streams, in slices. */
  evictExpired(): void {
    if (this.#evicting) return;
    this.#evicting = true;
    void Promise.resolve(this.slices.runFirst(this.streams.evictInSteps())).then(() => {
      this.#evicting = false;
    });
  }

  /** Resolves when everything submitted so far is in the hot tier. */
  async flush(): Promise<void> {
    await this.#allPushed();
    await this.#applier.flush();
  }

  /** {@link flush} that outlives failures of the hot tier. Throws WRITES_BUSY after {@link SETTLE_MILLIS}. */
  async settle(): Promise<void> {
    await this.#allPushed();
    await this.#applier.settled(SETTLE_MILLIS);
  }

  /** Everything submitted so far is durable, visible and with the applier. */
  async #allPushed(): Promise<void> {
    await this.#youngestPending();
    await this.#publishing;
  }

  /** From now on submits and snapshots are refused with SHUTTING_DOWN; commits that had their turn go on. */
  stop(): void {
    this.#stopped = true;
    this.snapshots.stop();
    this.#spaceWaiters.wake();
  }

  /** Stops, lets pending commits become durable or fail, and applies them. Never rejects. */
  async close(): Promise<void> {
    this.stop();
    await this.#writing;
    await this.#applier.close();
  }

  #openDraft(sequence: DraftSources['sequence'], keys: DraftSources['keys'], cold: LookedUp | undefined): Draft {
    const { hot, clock, manifests } = this.#sources;
    return new Draft({
      overlay: this.#overlay,
      hot,
      streams: this.streams,
      cache: this.rowCache,
      watermark: this.#watermark,
      sequence,
      keys,
      nowMicros: BigInt(Math.trunc(clock.now())) * 1000n,
      manifests,
      cold,
    });
  }

  /**
   * A reply that wrote nothing, or an error, may rest on a commit that is not durable: it waits for the youngest one, and
   * fails with it.
   */
  async #youngestPending(): Promise<KalamError | undefined> {
    const failure = await this.#pending.at(-1)?.done;
    if (failure !== undefined) throw failure;
    return undefined;
  }

  #enqueue(drafted: DraftedCommit, alone: boolean, large?: LargeCommit): Promise<KalamError | undefined> {
    let settle: PendingCommit['settle'] = () => undefined;
    const done = new Promise<KalamError | undefined>((resolve) => {
      settle = resolve;
    });
    if (large === undefined) this.#overlay.add(drafted.change);
    this.#overlayBytes += drafted.change.bytes;
    this.#pending.push({ drafted, large, alone, settle, done });
    this.#writing ??= this.#writeGroups();
    return done;
  }

  async #writeGroups(): Promise<void> {
    // The turns of requests that arrived together share the first group.
    await new Promise<void>((resolve) => this.#sources.timers.soon(resolve));
    while (this.#pending.length > 0) {
      let group: readonly PendingCommit[];
      let entries: readonly LogEntry[];
      try {
        await this.#pending[0]?.large?.ready;
        group = this.#takeGroup();
        const encoded = this.#stepsOf(group, groupEntries(group));
        entries = encoded instanceof Promise ? await encoded : encoded;
        if (entries.length > 0) await this.#append(entries, group[0]?.alone === true ? 'sync' : this.#sources.durability);
      } catch (error) {
        this.#failPending(error);
        continue;
      }
      const published = this.#stepsOf(group, this.#publish(group, entries));
      if (!(published instanceof Promise)) continue;
      this.#publishing = published;
      await published;
      this.#publishing = undefined;
    }
    this.#writing = undefined;
  }

  /** Runs work on a group: at once when the group is short. */
  #stepsOf<T>(group: readonly PendingCommit[], steps: Steps<T>): T | Promise<T> {
    return isShort(group) ? finishSteps(steps) : this.slices.runFirst(steps);
  }

  async #append(entries: readonly LogEntry[], durability: Durability): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      await this.#sources.log.append(entries, durability);
    } catch (error) {
      if (error instanceof KalamError) throw error;
      this.#broken = kalamError('COMMIT_OUTCOME_UNKNOWN', { reason: String(error) }, { cause: error });
      throw this.#broken;
    }
  }

  /** The commits of the next group; they stay in `#pending` until they are published. */
  #takeGroup(): readonly PendingCommit[] {
    if (this.#pending[0]?.alone === true) return this.#pending.slice(0, 1);
    const next = this.#pending.findIndex(({ alone, large }) => alone || large?.numbered === false);
    return this.#pending.slice(0, Math.min(next < 0 ? GROUP_COMMITS_MAX : next, GROUP_COMMITS_MAX));
  }

  /** Each commit passes the watermark in one step, and is pending until then. */
  *#publish(group: readonly PendingCommit[], entries: readonly LogEntry[]): Steps<void> {
    this.#counts.add(group.length);
    for (const commit of group) {
      const { change, streams, durable } = commit.drafted;
      for (const written of streams) yield* this.streams.add(written);
      this.#pass(commit);
      if (commit.large !== undefined) for (const written of streams) yield* this.streams.settle(written);
      // Nobody reads streams through the overlay, and a version that stayed here would outlive its deletion.
      for (const written of streams) yield* this.#overlay.removePartInSteps(written.part);
      if (durable.length === 0) this.#overlayBytes -= change.bytes;
      yield;
    }
    if (entries.length > 0) this.#applier.push(entries);
    this.#tidyOverlay();
  }

  /** The oldest pending commit is visible from now on. */
  #pass({ drafted, large, settle }: PendingCommit): void {
    const { change, durable, streams } = drafted;
    this.#pending.shift();
    this.#watermark = change.seq;
    if (large === undefined) for (const written of streams) finishSteps(this.streams.settle(written));
    this.#sources.reservation.observe(change);
    large?.publish();
    if (large === undefined) this.rowCache.observe(change);
    else this.rowCache.observeLarge(change);
    for (const flushed of this.#sources.manifests?.observe(change) ?? []) this.rowCache.forgetPartition(flushed);
    if (durable.length > 0) this.#unapplied.push(change);
    this.#tail.push(change);
    this.#notify(change);
    settle(undefined);
  }

  #notify(change: ChangeSet): void {
    for (const observer of this.#observers) {
      try {
        observer(change);
      } catch (error) {
        this.#sources.warn('an observer of commits failed', { seq: String(change.seq), error });
      }
    }
  }

  #forget(change: ChangeSet): void {
    this.#overlay.remove(change);
    this.#overlayBytes -= change.bytes;
  }

  /**
   * A group failed: it and every turn after it, which may have seen it, leave nothing behind. The log answers only when
   * none of them can come back.
   */
  #failPending(error: unknown): void {
    const failed = this.#pending;
    this.#pending = [];
    const failure = error instanceof KalamError ? error : kalamError('INTERNAL_ERROR', { reason: String(error) }, { cause: error });
    for (const { drafted, large, settle } of failed) {
      if (large !== undefined) void this.#takeBack(large).then(() => settle(failure));
      else {
        this.#forget(drafted.change);
        settle(failure);
      }
    }
    this.#sources.warn('a group of commits could not be written', { commits: failed.length, error });
    this.#spaceWaiters.wake();
  }

  /** A large commit leaves as it came, in slices: its latches are held until it is gone. */
  async #takeBack(large: LargeCommit): Promise<void> {
    await large.ready;
    await this.#forgetInSlices(large.change);
  }

  async #forgetInSlices(change: ChangeSet): Promise<void> {
    await this.slices.runFirst(this.#overlay.removeInSteps(change));
    this.#overlayBytes -= change.bytes;
    this.#spaceWaiters.wake();
    this.#tidyOverlay();
  }

  /** Forgets ChangeSets that the hot tier holds and that no open snapshot below them needs; many rows in slices. */
  #trim(): void | Promise<void> {
    const oldest = this.snapshots.oldestAppliedSeq();
    const end = this.#unapplied.findIndex(({ seq }) => seq > oldest);
    const gone = end < 0 ? this.#unapplied : this.#unapplied.slice(0, end);
    if (gone.length === 0) return undefined;
    this.#unapplied = this.#unapplied.slice(gone.length);
    return this.slices.runFirst(this.#forgetting(gone));
  }

  *#forgetting(changes: readonly ChangeSet[]): Steps<void> {
    for (const change of changes) {
      yield* this.#overlay.removeInSteps(change);
      this.#overlayBytes -= change.bytes;
    }
    this.#spaceWaiters.wake();
    this.#tidyOverlay();
  }

  /** Puts what is left of the overlay in order, in slices; one partition after another. */
  #tidyOverlay(): void {
    const tidying = this.#tidying ? undefined : this.#overlay.takeUntidy();
    if (tidying === undefined) return;
    this.#tidying = true;
    void Promise.resolve(this.slices.runFirst(tidying.tidy())).then(() => {
      this.#tidying = false;
      this.#tidyOverlay();
    });
  }

  #isFull(): boolean {
    return this.#overlayBytes >= OVERLAY_BYTES_MAX && !this.#stopped;
  }

  #spaceWaitEnd(): number {
    return this.#isFull() ? this.#sources.clock.elapsed() + OVERLAY_WAIT_MILLIS : 0;
  }

  /** Resolves when there may be space again; throws WRITES_BUSY at `end`. */
  async #waitForSpace(end: number): Promise<void> {
    // A snapshot that was closed since the last batch may have been all that was in the way.
    void this.#trim();
    if (!this.#isFull()) return;
    const left = end - this.#sources.clock.elapsed();
    if (left <= 0) {
      // What the hot tier holds already is kept for readers only, and they must not stop writers.
      this.snapshots.expireBehind();
      await this.#trim();
      if (!this.#isFull()) return;
      throw kalamError('WRITES_BUSY', { millis: OVERLAY_WAIT_MILLIS });
    }
    await this.#spaceWaiters.wait(left);
  }
}

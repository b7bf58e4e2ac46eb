import type { Beginning, Heard } from './judge.ts';
import type { LiveQuery } from './places.ts';
import type { Frame, RawConnection } from './raw-connection.ts';
import type { Cells } from './row-filter.ts';

/** A position behind every row: the batch there is empty, and comes when everything before it has been told. */
const BEHIND_ALL = 2n ** 63n - 1n;

/** Whether a subscription may have to start over: only that of a stream, whose events are in memory. */
export const mayResync = ({ place }: LiveQuery): boolean => place.table.kind === 'stream';

/** What a follower asks for. */
export interface FollowerOptions {
  readonly query: LiveQuery;
  readonly beginning: Beginning;
  readonly batchSize: number | undefined;
}

interface Control {
  readonly batch_num: number;
  readonly has_more: boolean;
  readonly status: string;
  readonly last_seq_id: bigint | string | number | null | undefined;
}

/** What can happen to a follower that its owner must know. */
export type FollowerEnd = { readonly code: string; readonly message: string };

/**
 * One subscription of a client that follows the documented rules and no more: it asks for batch after batch, goes on after a cut with
 * `from`, starts over when it is told to, and writes down everything it hears. It complains about frames that break the rules.
 */
export class RawFollower {
  readonly id: string;
  readonly options: FollowerOptions;
  /** What it has heard and nobody has judged yet. */
  heard: Heard[] = [];
  readonly problems: string[] = [];
  /** Called after each frame. */
  onHeard: () => void = () => undefined;
  /** The last error frame that ended it for good. */
  ended: FollowerEnd | undefined;
  /** How often it went on with `from`, and how often it had to start over. */
  resumes = 0;
  resyncs = 0;
  readonly #connection: RawConnection;
  #phase: 'away' | 'asked' | 'loading' | 'live' = 'away';
  #resuming = false;
  /** Its table was altered since it asked: before or after what its acknowledgement, still under way, stands for. */
  #alteredSinceAsked = false;
  /** The highest `_seq` consumed; `undefined` before the first batch. */
  #highest: bigint | undefined;
  #batchNum = 0;
  /** The last frame said that more of its commit, or of what was missed, would follow. */
  #more = false;
  #barriers: { readonly seq: bigint; readonly settle: (answered: boolean) => void }[] = [];

  constructor(id: string, connection: RawConnection, options: FollowerOptions) {
    this.id = id;
    this.#connection = connection;
    this.options = options;
  }

  get isLive(): boolean {
    return this.#phase === 'live';
  }

  /** Where it stands, for a message. */
  get standing(): object {
    const { beginning, batchSize } = this.options;
    return {
      id: this.id,
      beginning,
      batchSize,
      phase: this.#phase,
      highest: this.highest,
      batches: this.#batchNum,
      barriers: this.#barriers.length,
    };
  }

  /** The highest `_seq` that it has consumed. */
  get highest(): bigint {
    return this.#highest ?? 0n;
  }

  /** Asks for its query, from where it stands if it can. */
  ask(): void {
    if (this.ended !== undefined) return;
    this.#alteredSinceAsked = false;
    this.#settleBarriers(false);
    const { query, beginning, batchSize } = this.options;
    const keepsRows = beginning.kind === 'whole' || beginning.kind === 'since';
    this.#resuming = keepsRows && this.#highest !== undefined;
    if (!this.#resuming) this.#highest = beginning.kind === 'since' ? beginning.seq : undefined;
    const from = keepsRows ? this.#highest : undefined;
    const rows = beginning.kind === 'newest' ? { last_rows: beginning.rows } : {};
    const size = batchSize === undefined || beginning.kind === 'newest' ? {} : { batch_size: batchSize };
    const options = beginning.kind === 'changes' ? null : { ...size, ...rows, ...(from === undefined ? {} : { from }) };
    this.#phase = 'asked';
    this.#connection.send({ type: 'subscribe', subscription: { id: this.id, sql: query.sql, options } });
  }

  /** Its table is about to be altered, or was: catch-up over it may leave versions out. */
  altering(): void {
    this.heard.push({ kind: 'blur' });
    this.#alteredSinceAsked = this.#phase === 'asked';
  }

  /** The connection is gone. */
  cutOff(): void {
    this.#phase = 'away';
    this.#settleBarriers(false);
  }

  /** Asks the server to say when it has told everything; `false` when it will not any more. `seq`: what is known to be committed. */
  caughtUp(seq: bigint): Promise<boolean> {
    if (this.#phase !== 'live' || this.options.beginning.kind === 'changes' || this.#barriers.length > 0) return Promise.resolve(false);
    return new Promise((settle) => {
      this.#barriers.push({ seq, settle });
      this.#connection.send({ type: 'next_batch', subscription_id: this.id, last_seq_id: BEHIND_ALL });
    });
  }

  /** A frame that names this subscription. */
  take(frame: Frame): void {
    this.#take(frame);
    this.onHeard();
  }

  #take(frame: Frame): void {
    switch (frame['type']) {
      case 'subscription_ack':
        this.#acknowledged(frame['batch_control'] as Control);
        return;
      case 'initial_data_batch':
        this.#batch(frame['rows'] as readonly Cells[], frame['batch_control'] as Control);
        if (this.#phase === 'live') this.#more ||= frame['more'] === true;
        return;
      case 'change':
        this.#change(frame);
        return;
      case 'progress':
        this.#progress(frame['seq']);
        return;
      case 'error':
        this.#error({ code: String(frame['code']), message: String(frame['message']) });
        return;
      default:
        this.problems.push(`an unknown frame: ${JSON.stringify(frame)}`);
    }
  }

  #acknowledged(control: Control): void {
    if (this.#phase !== 'asked') this.problems.push(`acknowledged while ${this.#phase}`);
    this.heard.push({ kind: 'begin', resumes: this.#resuming, at: performance.now() });
    if (this.#alteredSinceAsked) this.heard.push({ kind: 'blur' });
    if (this.#resuming) this.resumes += 1;
    this.#batchNum = 0;
    this.#more = false;
    const isBare = this.options.beginning.kind === 'changes';
    if (isBare && (control.has_more || control.status !== 'ready'))
      this.problems.push(`acknowledged with ${JSON.stringify(control.status)}`);
    this.#phase = isBare ? 'live' : 'loading';
  }

  #batch(rows: readonly Cells[], control: Control): void {
    if (this.#phase === 'live') {
      const barrier = this.#barriers[0];
      if (barrier === undefined || rows.length > 0) this.problems.push(`a batch of ${rows.length} rows that nobody asked for`);
      if (barrier !== undefined) this.heard.push({ kind: 'barrier', seq: barrier.seq });
      this.#settleBarriers(true);
      return;
    }
    if (this.#phase !== 'loading') return;
    const { batch_num: num, has_more: more, status, last_seq_id: last } = control;
    const lastSeq = last === null || last === undefined ? undefined : BigInt(last);
    const lastRow = rows.at(-1)?.['_seq'];
    if (num !== this.#batchNum) this.problems.push(`batch ${num} instead of ${this.#batchNum}`);
    if (lastRow !== undefined && BigInt(String(lastRow)) !== lastSeq)
      this.problems.push(`last_seq_id ${lastSeq} is not that of the last row`);
    if (status !== (more ? (num === 0 ? 'loading' : 'loading_batch') : 'ready')) this.problems.push(`batch ${num} is ${status}`);
    this.heard.push({ kind: 'batch', rows, more });
    // A whole answer without rows is one, too: the next connection may go on from there as soon as something has been told.
    if (lastSeq !== undefined && lastSeq > this.highest) this.#highest = lastSeq;
    this.#batchNum += 1;
    if (more) this.#connection.send({ type: 'next_batch', subscription_id: this.id, last_seq_id: lastSeq });
    else this.#phase = 'live';
  }

  #change(frame: Frame): void {
    if (this.#phase === 'asked') return;
    if (this.#phase !== 'live') this.problems.push(`a change while ${this.#phase}`);
    const [row, ...others] = (frame['rows'] as readonly Cells[] | undefined) ?? [];
    const [old] = (frame['old_values'] as readonly Cells[] | undefined) ?? [];
    if (others.length > 0) this.problems.push('a change of several rows');
    this.#more = frame['more'] === true;
    this.heard.push({ kind: 'change', type: frame['change_type'] as 'insert', row, old, more: this.#more });
    const seq = (row ?? old)?.['_seq'];
    if (seq === undefined) return;
    if (BigInt(String(seq)) <= this.highest) this.problems.push(`the change ${seq} does not lie above ${this.highest}`);
    else this.#highest = BigInt(String(seq));
  }

  #progress(seq: unknown): void {
    if (this.#phase === 'asked') return;
    if (this.#phase !== 'live') this.problems.push(`progress while ${this.#phase}`);
    if (typeof seq !== 'bigint') this.problems.push(`progress to ${typeof seq} ${String(seq)}`);
    else if (seq < this.highest || (seq === this.highest && !this.#more)) this.problems.push(`progress to ${seq} after ${this.highest}`);
    else {
      this.#highest = seq;
      this.#more = false;
      this.heard.push({ kind: 'progress', seq });
    }
  }

  #error(error: FollowerEnd): void {
    if (error.code === 'RESYNC_REQUIRED') {
      if (!mayResync(this.options.query)) this.problems.push(error.message);
      this.#highest = undefined;
      this.resyncs += 1;
      this.#settleBarriers(false);
      this.ask();
    } else {
      this.ended ??= error;
      this.#phase = 'away';
      this.#settleBarriers(false);
    }
  }

  #settleBarriers(answered: boolean): void {
    for (const { settle } of this.#barriers.splice(0)) settle(answered);
  }
}

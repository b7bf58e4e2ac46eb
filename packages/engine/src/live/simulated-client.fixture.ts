import type { LiveFrame, LiveSink } from './frame.ts';

/** A row as a client holds it: `_seq` as bigint, absent and NULL alike. */
export type ClientRow = Readonly<Record<string, unknown>>;

interface ChangeBody {
  readonly change_type: 'insert' | 'update' | 'delete';
  readonly rows?: readonly Record<string, unknown>[];
  readonly old_values?: readonly Record<string, unknown>[];
}

/**
 * What a client puts together from one subscription's frames by the rules of wire-protocol 6.1: it drops rows whose `_seq`
 * is not above the highest it consumed, puts rows under their key, and removes deleted ones. It complains about frames that
 * no client could live with.
 */
export class SimulatedClient implements LiveSink {
  readonly frames: LiveFrame[] = [];
  readonly problems: string[] = [];
  /** Highest `_seq` consumed: what a resume sends as `from`. */
  highest = 0n;
  /** Set by the frame that ended the subscription. */
  ended: string | undefined;
  /** Called after each frame. */
  onFrame: (frame: LiveFrame) => void = () => undefined;
  /** How the last batch ended. */
  state: 'waiting' | 'loading' | 'ready' = 'waiting';
  lastSeqId: bigint | undefined;
  readonly #rows = new Map<unknown, ClientRow>();
  #lastChangeSeq = 0n;

  /** What the client shows, by key. */
  get rows(): ReadonlyMap<unknown, ClientRow> {
    return this.#rows;
  }

  /** Forgets its rows, as before a subscribe without `from`. */
  reset(): void {
    this.#rows.clear();
    this.highest = 0n;
  }

  /** Is on a new connection: what it has consumed stays. */
  reconnected(): void {
    this.state = 'waiting';
    this.ended = undefined;
    this.#lastChangeSeq = 0n;
  }

  deliver(frame: LiveFrame): void {
    this.frames.push(frame);
    switch (frame.kind) {
      case 'ack':
        this.#control(frame.control.hasMore, frame.control.lastSeqId);
        break;
      case 'batch':
        this.#batch(frame);
        break;
      case 'change':
        this.#change(JSON.parse(`{${frame.body.json()}}`));
        break;
      case 'progress':
        if (frame.seq < this.#lastChangeSeq) this.problems.push(`progress to ${frame.seq} after ${this.#lastChangeSeq}`);
        this.#lastChangeSeq = frame.seq;
        this.highest = frame.seq;
        break;
      case 'error':
        this.ended = frame.code;
        break;
    }
    this.onFrame(frame);
  }

  #control(hasMore: boolean, lastSeqId: bigint | undefined): void {
    this.state = hasMore ? 'loading' : 'ready';
    this.lastSeqId = lastSeqId;
  }

  #batch({ rows, control }: Extract<LiveFrame, { kind: 'batch' }>): void {
    let last: bigint | undefined;
    for (const row of rows.map((text): Record<string, unknown> => JSON.parse(text))) {
      const seq = seqOf(row) ?? 0n;
      if (last !== undefined && seq <= last) this.problems.push(`batch not in _seq order: ${seq} after ${last}`);
      last = seq;
      this.#put(row);
    }
    if (last !== control.lastSeqId) this.problems.push(`last_seq_id ${control.lastSeqId} is not that of the last row, ${last}`);
    this.#control(control.hasMore, control.lastSeqId);
  }

  #change({ change_type, rows, old_values }: ChangeBody): void {
    if (this.state !== 'ready') this.problems.push(`${change_type} while ${this.state}`);
    const [row] = rows ?? [];
    const [old] = old_values ?? [];
    const seq = seqOf(row ?? old ?? {});
    if (seq !== undefined && seq <= this.#lastChangeSeq) this.problems.push(`change ${seq} after ${this.#lastChangeSeq}`);
    if (seq !== undefined && seq <= this.highest) this.problems.push(`change ${seq} would be dropped, consumed ${this.highest}`);
    this.#lastChangeSeq = seq ?? this.#lastChangeSeq;
    if (change_type === 'delete') this.#remove(old ?? {});
    else if (row !== undefined) this.#put(row, change_type === 'update' ? old : undefined);
  }

  #put(row: Record<string, unknown>, old?: Record<string, unknown>): void {
    const seq = seqOf(row);
    if (seq === undefined || seq <= this.highest) return;
    this.highest = seq;
    const merged: Record<string, unknown> = old === undefined ? {} : { ...this.#rows.get(row['id']) };
    // A column that an update set to NULL is absent from its row and present among the old values.
    for (const name of Object.keys(old ?? {})) merged[name] = null;
    Object.assign(merged, row, { _seq: seq });
    this.#rows.set(row['id'], merged);
  }

  #remove(old: Record<string, unknown>): void {
    const seq = seqOf(old);
    if (seq !== undefined) this.highest = seq;
    if (typeof old['row_id'] !== 'string') {
      this.#rows.delete(old['id']);
      return;
    }
    const eventSeq = BigInt(old['row_id'].split(':').at(-1) ?? '');
    for (const [key, row] of this.#rows) if (row['_seq'] === eventSeq) this.#rows.delete(key);
  }
}

function seqOf(row: Record<string, unknown>): bigint | undefined {
  const seq = row['_seq'];
  return typeof seq === 'string' ? BigInt(seq) : undefined;
}

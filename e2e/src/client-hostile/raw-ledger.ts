import type { RowData, ServerMessage } from '@kalamdb/client';

/** What a raw subscription was told, held against the rules: each row version once, in order, and nothing committed left out. */
export class RawLedger {
  readonly problems: string[] = [];
  /** What its rows are by now, by key. */
  readonly rows: Map<string, string> = new Map();
  resyncs = 0;
  #lastSeq = 0n;
  #seen = new Set<bigint>();
  readonly #plain: (row: RowData) => string;

  constructor(plain: (row: RowData) => string) {
    this.#plain = plain;
  }

  /** The callback of the subscription. */
  take(event: ServerMessage): void {
    if (event.type === 'error') {
      if (event.code === 'RESYNC_REQUIRED') this.#restart();
      else this.problems.push(`${event.code}: ${event.message}`);
    } else if (event.type === 'initial_data_batch') {
      for (const row of event.rows) this.#put(row);
    } else if (event.type === 'change') {
      if (event.change_type === 'delete') this.#remove(event.old_values?.[0]);
      else this.#put(event.rows?.[0]);
    }
  }

  /** Whether a version was told. */
  has(seq: bigint): boolean {
    return this.#seen.has(seq);
  }

  #restart(): void {
    this.resyncs += 1;
    this.#lastSeq = 0n;
    this.#seen = new Set();
    this.rows.clear();
  }

  #put(row: RowData | undefined): void {
    if (row === undefined || !this.#isNext(row)) return;
    this.rows.set(row['id']?.asString() ?? '', this.#plain(row));
  }

  #remove(row: RowData | undefined): void {
    if (row !== undefined && this.#isNext(row)) this.rows.delete(row['id']?.asString() ?? '');
  }

  #isNext(row: RowData): boolean {
    const seq = row['_seq']?.asBigInt() ?? 0n;
    if (this.#seen.has(seq)) this.problems.push(`${seq} was told twice`);
    else if (seq <= this.#lastSeq) this.problems.push(`${seq} came after ${this.#lastSeq}`);
    this.#seen.add(seq);
    this.#lastSeq = seq;
    return true;
  }
}

import type { Version } from './history.ts';
import { type LiveQuery, STABLE_COLUMNS } from './places.ts';
import type { Cells } from './row-filter.ts';

/** How a subscription begins: with all rows, with those above a `_seq`, with the newest few, or with none. */
export type Beginning =
  | { readonly kind: 'whole' }
  | { readonly kind: 'since'; readonly seq: bigint }
  | { readonly kind: 'newest'; readonly rows: number }
  | { readonly kind: 'changes' };

/** What a subscriber has been told, in order, and what happened to it in between. */
export type Heard =
  /** An acknowledgement: of a subscription that starts over, or of one that goes on where its client stands. */
  | { readonly kind: 'begin'; readonly resumes: boolean; readonly at: number }
  | { readonly kind: 'batch'; readonly rows: readonly Cells[]; readonly more: boolean }
  | {
      readonly kind: 'change';
      readonly type: 'insert' | 'update' | 'delete';
      readonly row: Cells | undefined;
      readonly old: Cells | undefined;
      /** Whether its commit goes on; `undefined`: the client does not say. */
      readonly more: boolean | undefined;
    }
  /** Everything up to here has been told, and what is shown is the answer there. */
  | { readonly kind: 'progress'; readonly seq: bigint }
  /** The server says that everything was told that was committed when it was asked, which is all up to `seq` at least. */
  | { readonly kind: 'barrier'; readonly seq: bigint }
  /** From here until the next rest catch-up may have left out versions between: its table was altered. */
  | { readonly kind: 'blur' };

/** What an exact delivery tells of a version. */
interface Expected {
  readonly version: Version;
  readonly type: 'insert' | 'update' | 'delete';
}

const seqOf = (row: Cells | undefined): bigint | undefined => {
  const seq = row?.['_seq'];
  return typeof seq === 'string' ? BigInt(seq) : undefined;
};
/** A whole number of a DOUBLE may be read as either of JavaScript's numbers. */
const plain = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : (value ?? null));
const same = (a: unknown, b: unknown): boolean => plain(a) === plain(b);

/** A value for a message: 64-bit integers as text, and not too long. */
export function told(value: unknown): string {
  const shortened = (_: string, one: unknown): unknown =>
    typeof one === 'bigint' ? String(one) : typeof one === 'string' && one.length > 60 ? `${one.slice(0, 20)}…` : one;
  return String(JSON.stringify(value, shortened));
}

/**
 * Holds what a subscriber was told against the history of its partition. From its snapshot on, and from every rest on, it must have
 * been told exactly the changes that its query means, in their order; where it has resumed or its table was altered, versions may be
 * left out until the next rest, but what it has put together must be the answer. Throws at the first difference; to be asked only while
 * the history is complete.
 */
export class Judge {
  readonly #query: LiveQuery;
  readonly #beginning: Beginning;
  /** What the client shows, by key. */
  readonly #shown = new Map<string, Cells>();
  /** The answer of the query after the first `#position` versions. */
  readonly #answer = new Map<string, Version>();
  #position = 0;
  #last = 0n;
  #exact = false;
  /** Its table was altered since the last rest. */
  #blurred = false;
  /** The commit of the last change, if that said that nothing of it follows. */
  #endedCommit: number | undefined;
  /** A snapshot whose commit is not known yet: it lies before the first change. */
  #snapshot: { readonly at: number; batches: number } | undefined;
  readonly #removed = new Set<bigint>();
  /** Rows that the snapshot ought to have had and had not: they must have changed while it was read, so a change must come. */
  readonly #owed = new Map<string, bigint>();
  /** Changes that were held against exactly what must be told. */
  exactChanges = 0;
  /** Changes after a resume or an alteration. */
  looseChanges = 0;
  /** Rows that stopped matching and were told as deleted. */
  leaves = 0;

  constructor(query: LiveQuery, beginning: Beginning) {
    this.#query = query;
    this.#beginning = beginning;
  }

  /** The rows of the answer as of the last rest. */
  get answer(): ReadonlyMap<string, Version> {
    return this.#answer;
  }

  take(heard: Heard): void {
    switch (heard.kind) {
      case 'begin':
        this.#begin(heard.resumes, heard.at);
        return;
      case 'batch':
        for (const row of heard.rows) this.#batchRow(row);
        if (this.#snapshot !== undefined) this.#snapshot.batches += 1;
        return;
      case 'change':
        if (this.#isStream && heard.type === 'delete') this.#eventGone(heard.old);
        else this.#change(heard);
        return;
      case 'barrier':
        if (this.#exact) this.#missing(this.#advance(heard.seq), 'when it said that it had caught up');
        return;
      case 'progress':
        this.#progress(heard.seq);
        return;
      case 'blur':
        this.#exact = false;
        this.#blurred = true;
        this.#snapshot = undefined;
        this.#owed.clear();
        return;
      default:
        heard satisfies never;
    }
  }

  #progress(seq: bigint): void {
    const left = this.#advance(seq);
    const { kind } = this.#beginning;
    if (this.#exact) this.#missing(left, `before the progress to ${seq}`);
    // A stream's deletions have no place in the order.
    else if (this.#snapshot === undefined && !this.#blurred && !this.#isStream && (kind === 'whole' || kind === 'since')) {
      this.#compare();
      this.#exact = true;
    }
  }

  /** Everything that was committed has been told: what is shown must be the answer. */
  rest(): void {
    const left = this.#advance(undefined);
    if (this.#exact) this.#missing(left, 'at rest');
    else if (this.#snapshot !== undefined) this.#leaveSnapshot(left);
    if (this.#beginning.kind === 'whole' || this.#beginning.kind === 'since') this.#compare();
    for (const [key, seq] of this.#owed) throw new Error(`${key} at ${seq} was neither in the snapshot nor changed`);
    this.#exact = true;
    this.#blurred = false;
  }

  /** Somebody keeps rows by other means: they must be the answer. */
  isShown(shown: ReadonlyMap<string, bigint>): void {
    this.#advance(undefined);
    const { history } = this.#query.place;
    const wanted = [...this.#answer.values()].filter(({ seq }) => !history.isGone(seq));
    const lacking = wanted.find(({ key, seq }) => shown.get(key) !== seq);
    if (lacking !== undefined) throw new Error(`${lacking.key} is shown at ${shown.get(lacking.key)}, not at ${lacking.seq}`);
    if (shown.size !== wanted.length) throw new Error(`${shown.size} rows are shown instead of ${wanted.length}`);
  }

  get #isStream(): boolean {
    return this.#query.place.table.kind === 'stream';
  }

  #begin(resumes: boolean, at: number): void {
    this.#exact = false;
    this.#snapshot = undefined;
    // The frame of a deleted event has no `_seq`, so a client that goes on where it stands may be told of it again.
    this.#removed.clear();
    this.#owed.clear();
    if (resumes) return;
    this.#shown.clear();
    this.#last = this.#beginning.kind === 'since' ? this.#beginning.seq : 0n;
    if (this.#beginning.kind !== 'since') this.#snapshot = { at, batches: 0 };
  }

  #matches(version: Version): boolean {
    const { filter, user } = this.#query;
    return !version.deleted && filter.test(version.cells, user) === true;
  }

  /** Goes on to a commit, or to the end; answers what an exact delivery would have told on the way. */
  #advance(to: bigint | undefined): readonly Expected[] {
    const { versions } = this.#query.place.history;
    const passed: Expected[] = [];
    for (let version = versions[this.#position]; version !== undefined; version = versions[this.#position]) {
      if (to !== undefined && version.seq > to) break;
      this.#position += 1;
      const previous = this.#isStream ? undefined : version.previous;
      if (this.#matches(version)) {
        this.#answer.set(version.key, version);
        passed.push({ version, type: previous === undefined || previous.deleted ? 'insert' : 'update' });
      } else {
        this.#answer.delete(version.key);
        if (previous !== undefined && this.#matches(previous)) passed.push({ version, type: 'delete' });
      }
    }
    return passed;
  }

  #missing(expected: readonly Expected[], when: string): void {
    const [first] = this.#isStream ? expected.filter(({ version }) => !this.#query.place.history.isGone(version.seq)) : expected;
    if (first === undefined) return;
    const { version, type } = first;
    throw new Error(`${when}: ${expected.length} changes were not told, the first is the ${type} of ${version.key} at ${version.seq}`);
  }

  /** The snapshot was taken before any of these; what was sent after it was acknowledged must have been told as a change. */
  #leaveSnapshot(before: readonly Expected[]): void {
    const snapshot = this.#snapshot;
    this.#snapshot = undefined;
    if (snapshot === undefined) return;
    this.#missing(
      before.filter(({ version }) => version.sentAt > snapshot.at),
      'after the snapshot',
    );
    // When an event went is not known, so what a snapshot must have had of a stream is not, either.
    if (this.#isStream || snapshot.batches !== 1) return;
    const { history } = this.#query.place;
    for (const [key, row] of this.#shown) {
      const there = this.#answer.get(key)?.seq;
      if (there !== seqOf(row)) throw new Error(`the snapshot has ${key} at ${seqOf(row)}, the answer at ${there ?? 'no commit'}`);
    }
    const wanted = [...this.#answer.values()].filter(({ seq }) => !history.isGone(seq)).sort((a, b) => (a.seq < b.seq ? -1 : 1));
    const newest = this.#beginning.kind === 'newest' ? wanted.slice(Math.max(0, wanted.length - this.#beginning.rows)) : wanted;
    for (const { key, seq } of newest) if (!this.#shown.has(key)) this.#owed.set(key, seq);
  }

  #batchRow(row: Cells): void {
    const seq = this.#next(row);
    const version = this.#versionOf(seq, row);
    if (version === undefined) return;
    if (!this.#matches(version)) throw new Error(`a batch has ${version.key} at ${seq}, which does not match`);
    this.#checkWhole(row, version);
    this.#shown.set(version.key, row);
  }

  #change({ type, row, old, more }: Extract<Heard, { kind: 'change' }>): void {
    const seq = this.#next(row ?? old);
    const version = this.#versionOf(seq, row ?? old);
    if (version === undefined) return;
    if (this.#snapshot !== undefined) {
      this.#leaveSnapshot(this.#advance(seq - 1n));
      this.#exact = true;
    }
    this.#owed.delete(version.key);
    const passed = this.#advance(seq);
    if (this.#exact) this.#checkExpected({ version, type }, passed);
    else this.looseChanges += 1;
    if (version.commit !== undefined && version.commit === this.#endedCommit) throw new Error(`${seq} belongs to a commit that had ended`);
    this.#endedCommit = more === false ? version.commit : undefined;
    if (this.#matches(version) !== (type !== 'delete'))
      throw new Error(`the ${type} of ${version.key} at ${seq} is not what the filter says`);
    if (type === 'delete') this.#remove(version, old);
    else this.#put(version, type, row ?? {}, old);
  }

  #checkExpected({ version, type }: Expected, passed: readonly Expected[]): void {
    const expected = passed.at(-1);
    this.#missing(passed.slice(0, -1), `before ${version.seq}`);
    if (expected?.version !== version || expected.type !== type) {
      throw new Error(`the ${type} of ${version.key} at ${version.seq} was told instead of ${expected?.type ?? 'nothing'}`);
    }
    this.exactChanges += 1;
  }

  #put(version: Version, type: 'insert' | 'update', row: Cells, old: Cells | undefined): void {
    if (type === 'insert') {
      this.#checkWhole(row, version);
      this.#shown.set(version.key, row);
      return;
    }
    const { previous } = version;
    if (previous !== undefined && seqOf(old) !== previous.seq)
      throw new Error(`the old values of ${version.seq} are not those of ${previous.seq}`);
    const merged: Record<string, unknown> = { ...this.#shown.get(version.key) };
    // A column that is NULL now is absent from the row, and among the old values if it was not.
    for (const name of Object.keys(old ?? {})) merged[name] = null;
    Object.assign(merged, row);
    this.#checkCells(merged, version, 'an update');
    for (const name of this.#columns) {
      if (name === 'id' || previous === undefined || !STABLE_COLUMNS.includes(name)) continue;
      const changed = !same(version.cells[name], previous.cells[name]);
      const before = old?.[name];
      if (changed ? before === undefined || !same(before, previous.cells[name]) : before !== undefined)
        throw new Error(`the old values of ${version.seq} say ${told(before)} of ${name}`);
    }
    this.#shown.set(version.key, merged);
  }

  #remove(version: Version, old: Cells | undefined): void {
    if (!version.deleted) this.leaves += 1;
    if (this.#exact && version.previous !== undefined) this.#checkCells({ ...old }, version.previous, 'a delete');
    if (String(old?.['id']) !== version.key) throw new Error(`the delete at ${version.seq} does not name ${version.key}`);
    this.#shown.delete(version.key);
  }

  /** A deleted event of a stream is named by its `row_id`, `<owner>:<_seq>`. */
  #eventGone(old: Cells | undefined): void {
    const seq = BigInt(String(old?.['row_id']).split(':').at(-1) ?? '');
    const { history, lost } = this.#query.place;
    const version = history.at(seq);
    if (version === undefined && lost.size === 0) throw new Error(`an event ${seq} is deleted that there never was`);
    if (version === undefined) return;
    if (!history.isGone(seq)) throw new Error(`the event ${seq} was told as deleted, and is there`);
    if (this.#removed.has(seq)) throw new Error(`the event ${seq} was told as deleted twice`);
    if (!this.#matches(version)) throw new Error(`the event ${seq}, which does not match, was told as deleted`);
    this.#removed.add(seq);
    if (seqOf(this.#shown.get(version.key)) === seq) this.#shown.delete(version.key);
  }

  #next(row: Cells | undefined): bigint {
    const seq = seqOf(row);
    if (seq === undefined) throw new Error(`no _seq: ${told(row)}`);
    if (seq <= this.#last) throw new Error(`${seq} was told after ${this.#last}`);
    this.#last = seq;
    return seq;
  }

  /** `undefined`: an event whose statement got no answer. */
  #versionOf(seq: bigint, row: Cells | undefined): Version | undefined {
    const { history, lost } = this.#query.place;
    const version = history.at(seq);
    if (version === undefined && this.#isStream && lost.has(Number(row?.['w'] ?? lost.values().next().value))) return undefined;
    if (version === undefined) throw new Error(`${seq} was told, and nobody wrote it: ${told(row)}`);
    return version;
  }

  get #columns(): readonly string[] {
    return this.#query.columns ?? STABLE_COLUMNS;
  }

  /** A row that must have all its columns. */
  #checkWhole(row: Cells, version: Version): void {
    for (const name of this.#columns) {
      if (STABLE_COLUMNS.includes(name) && row[name] === undefined) throw new Error(`${name} is missing in ${version.seq}`);
    }
    if (this.#query.columns === undefined && row['_deleted'] !== false) throw new Error(`_deleted is not false in ${version.seq}`);
    this.#checkCells(row, version, 'a row');
  }

  /** Columns that come and go are compared where both sides have them. */
  #checkCells(row: Cells, version: Version, what: string): void {
    for (const name of new Set([...this.#columns, ...Object.keys(row)])) {
      const stable = STABLE_COLUMNS.includes(name);
      const known = version.cells[name];
      if (name.startsWith('_') || (!stable && (known === undefined || row[name] === undefined))) continue;
      if (!same(row[name], known)) throw new Error(`${what} at ${version.seq} has ${told(row[name])} as ${name}, not ${told(known)}`);
    }
  }

  /** What is shown against the answer, as far as this subscription is meant to have it. */
  #compare(): void {
    const { history } = this.#query.place;
    const since = this.#beginning.kind === 'since' ? this.#beginning.seq : 0n;
    const wanted = [...this.#answer.values()].filter(({ seq }) => seq > since && !history.isGone(seq));
    const seqs = new Map(wanted.map((version) => [version.key, version.seq]));
    for (const [key, row] of this.#shown) {
      if (seqs.get(key) !== seqOf(row))
        throw new Error(`${key} is shown at ${seqOf(row)}; the answer has ${seqs.get(key) ?? 'no such row'}`);
    }
    for (const [key, seq] of seqs) if (!this.#shown.has(key)) throw new Error(`${key} at ${seq} is not shown`);
  }
}

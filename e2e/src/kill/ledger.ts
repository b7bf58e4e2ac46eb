/** Tables of the kill loop: SHARED `kill.items`, and USER `kill.notes`, of which each user has a partition. */
export type Place = 'items' | `notes of ${string}`;

/** A row as the verifier reads it. `commit` names the commit that wrote it, `block` how many rows of its place belong together. */
export interface KilledRow {
  readonly commit: number;
  readonly count: number;
  readonly block: number;
}

/** A row that was read, with its place in the commit order. */
export interface ReadRow extends KilledRow {
  readonly seq: bigint;
}

/** A row's name in the ledger. */
export type RowName = `${Place}/${number}`;

/** What a commit makes of the rows it writes; `undefined` is a deletion. A bump adds one to the row that all writers share. */
export interface PlannedCommit {
  readonly id: number;
  readonly changes: ReadonlyMap<RowName, KilledRow | undefined>;
  readonly bumps: boolean;
}

/** The row that every writer counts up. */
export const SHARED_COUNTER: RowName = 'items/0';

/**
 * What must be in the tables: every acknowledged commit, no refused one, and each unanswered one wholly or not at all. A row
 * belongs to one writer, which has one commit on its way, so what a row must hold is known but for the unanswered commits.
 */
export class Ledger {
  readonly #rows = new Map<RowName, KilledRow>();
  readonly #committed = new Set<number>();
  readonly #seen = new Set<number>();
  #unanswered: PlannedCommit[] = [];
  #bumps = 0;
  /** The highest `_seq` that anybody has seen. */
  #highest = 0n;
  /** The same at the last check. */
  #highestKnown = 0n;
  /** Newest version of each row at the last check. */
  #known = new Map<RowName, ReadRow>();

  /** What must be under the name; `undefined`: nothing, or it is not known yet. */
  row(name: RowName): KilledRow | undefined {
    return this.#rows.get(name);
  }

  acknowledged(commit: PlannedCommit): void {
    for (const [name, row] of commit.changes) {
      if (row === undefined) this.#rows.delete(name);
      else this.#rows.set(name, row);
    }
    this.#committed.add(commit.id);
    if (commit.bumps) this.#bumps += 1;
  }

  unanswered(commit: PlannedCommit): void {
    this.#unanswered.push(commit);
  }

  /** Somebody was shown a row of this commit: it must have happened, and stay. */
  saw(commit: number): void {
    this.#seen.add(commit);
  }

  /** Somebody was shown a row with this `_seq`. */
  sawSeq(seq: bigint): void {
    if (seq > this.#highest) this.#highest = seq;
  }

  /** Compares with everything that was read after a restart. Throws the first difference. */
  settle(actual: ReadonlyMap<RowName, ReadRow>): { readonly present: number; readonly absent: number } {
    const unanswered = this.#unanswered;
    this.#unanswered = [];
    let present = 0;
    for (const commit of unanswered) {
      const names = [...commit.changes.keys()];
      const isThere = names.every((name) => same(actual.get(name), commit.changes.get(name)));
      const isAbsent = names.every((name) => same(actual.get(name), this.#rows.get(name)));
      if (isThere === isAbsent) throw new Error(`the unanswered commit ${commit.id} is half there: ${show(names, actual)}`);
      if (!isThere) continue;
      present += 1;
      this.acknowledged(commit);
    }
    for (const id of this.#seen) if (!this.#committed.has(id)) throw new Error(`rows of ${id} were shown, and it is no commit`);
    this.#seen.clear();
    this.#compare(actual);
    this.#checkOrder(actual);
    return { present, absent: unanswered.length - present };
  }

  #compare(actual: ReadonlyMap<RowName, ReadRow>): void {
    for (const name of new Set([...actual.keys(), ...this.#rows.keys()])) {
      if (name === SHARED_COUNTER) continue;
      const [got, wanted] = [actual.get(name), this.#rows.get(name)];
      if (!same(got, wanted)) throw new Error(`${name} must be ${JSON.stringify(wanted)}, not ${show([name], actual)}`);
    }
    const counter = actual.get(SHARED_COUNTER);
    if (counter?.count !== this.#bumps) throw new Error(`the shared row was counted up to ${counter?.count} by ${this.#bumps} commits`);
    if (!this.#committed.has(counter.commit)) throw new Error(`the shared row names ${counter.commit}, which is no commit`);
  }

  /** A version that is there since the last check has its `_seq`; a new one is above all that were seen, and has its own. */
  #checkOrder(actual: ReadonlyMap<RowName, ReadRow>): void {
    const used = new Map<bigint, RowName>();
    for (const [name, row] of actual) {
      const other = used.get(row.seq);
      if (other !== undefined) throw new Error(`${name} and ${other} have the same _seq ${row.seq}`);
      used.set(row.seq, name);
      const before = this.#known.get(name);
      if (before !== undefined && same(before, row)) {
        if (before.seq !== row.seq) throw new Error(`${name} had _seq ${before.seq} and has ${row.seq}`);
      } else if (row.seq <= this.#highestKnown)
        throw new Error(`${name} is new and has _seq ${row.seq}, at or below ${this.#highestKnown}`);
    }
    for (const { seq } of actual.values()) this.sawSeq(seq);
    this.#highestKnown = this.#highest;
    this.#known = new Map(actual);
  }
}

function same(a: KilledRow | undefined, b: KilledRow | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.commit === b.commit && a.count === b.count && a.block === b.block;
}

const show = (names: readonly RowName[], rows: ReadonlyMap<RowName, ReadRow>): string =>
  JSON.stringify(
    names.map((name) => [name, rows.get(name)]),
    (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
  );

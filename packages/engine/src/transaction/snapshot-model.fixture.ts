/** A row of the model's tables, `id INT PRIMARY KEY, v INT`. */
export type Rows = ReadonlyMap<number, number>;

/** What a statement of the model answers. */
export type ModelAnswer =
  | { readonly kind: 'count'; readonly count: number }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly number[])[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'error'; readonly code: string };

/** What a statement does to one partition. */
export type ModelStatement =
  | { readonly kind: 'insert'; readonly rows: readonly (readonly [id: number, v: number])[] }
  /** ON CONFLICT: nothing, or what is there and below `limit` grows by what comes. */
  | {
      readonly kind: 'upsert';
      readonly rows: readonly (readonly [id: number, v: number])[];
      readonly limit: number | 'nothing';
      readonly returning?: boolean;
    }
  | { readonly kind: 'copy'; readonly from: string; readonly id: number; readonly by: number }
  | { readonly kind: 'update'; readonly from: number; readonly to: number; readonly add: number; readonly returning?: boolean }
  | { readonly kind: 'delete'; readonly from: number; readonly to: number; readonly returning?: boolean }
  | { readonly kind: 'select'; readonly from: number; readonly to: number; readonly descending: boolean };

interface Write {
  readonly place: string;
  readonly id: number;
  /** `undefined`: deleted. */
  readonly v: number | undefined;
  /** It takes the place of whatever is under its key. */
  readonly upsert?: boolean;
}

interface ModelTransaction {
  readonly began: number;
  readonly snapshot: ReadonlyMap<string, Rows>;
  /** By place and id, in the order of the last write of each. */
  own: Map<string, Write>;
  savepoints: { readonly name: string; readonly own: Map<string, Write> }[];
}

const error = (code: string): ModelAnswer => ({ kind: 'error', code });
const DONE: ModelAnswer = { kind: 'done' };

/**
 * Snapshot isolation, slow and obvious: a transaction has a copy of everything from its BEGIN and a list of its own writes;
 * COMMIT looks whether any row of the list was committed since. Every client has at most one transaction.
 */
export class SnapshotModel {
  readonly counts: Record<string, number> = {};
  readonly #committed = new Map<string, Map<number, number>>();
  /** By place and id: number of the commit that wrote it last, deletions too. */
  readonly #writtenBy = new Map<string, number>();
  readonly #open = new Map<string, ModelTransaction>();
  #commits = 0;

  rows(place: string): Rows {
    return this.#committed.get(place) ?? new Map();
  }

  isOpen(client: string): boolean {
    return this.#open.has(client);
  }

  hasSavepoint(client: string, name: string): boolean {
    return this.#open.get(client)?.savepoints.some((savepoint) => savepoint.name === name) ?? false;
  }

  begin(client: string): ModelAnswer {
    if (this.#open.has(client)) return this.#fail(client, 'TRANSACTION_ACTIVE');
    const snapshot = new Map([...this.#committed].map(([place, rows]) => [place, new Map(rows)]));
    this.#open.set(client, { began: this.#commits, snapshot, own: new Map(), savepoints: [] });
    return DONE;
  }

  commit(client: string): ModelAnswer {
    const transaction = this.#open.get(client);
    if (transaction === undefined) return error('TRANSACTION_REQUIRED');
    const before = ({ place, id }: Write): number | undefined => transaction.snapshot.get(place)?.get(id);
    const changes = [...transaction.own.values()].filter((write) => write.v !== undefined || before(write) !== undefined);
    for (const write of changes) {
      if ((this.#writtenBy.get(nameOf(write)) ?? 0) <= transaction.began) continue;
      const taken = this.rows(write.place).has(write.id) && before(write) === undefined && write.v !== undefined;
      if (taken) this.#count(write.upsert === true ? 'key of an upsert taken at commit' : 'key taken at commit');
      return this.#fail(client, taken && write.upsert !== true ? 'DUPLICATE_KEY' : 'CONFLICT');
    }
    this.#open.delete(client);
    this.#count(changes.length > 0 ? 'commit' : 'commit of nothing');
    if (new Set(changes.map(({ place }) => place)).size > 1) this.#count('commit over several partitions');
    this.#apply(changes);
    return DONE;
  }

  rollback(client: string): ModelAnswer {
    if (!this.#open.delete(client)) return error('TRANSACTION_REQUIRED');
    this.#count('rollback');
    return DONE;
  }

  savepoint(client: string, name: string): ModelAnswer {
    const transaction = this.#open.get(client);
    if (transaction === undefined) return error('TRANSACTION_REQUIRED');
    transaction.savepoints.push({ name, own: new Map(transaction.own) });
    return DONE;
  }

  rollbackTo(client: string, name: string): ModelAnswer {
    const transaction = this.#open.get(client);
    if (transaction === undefined) return error('TRANSACTION_REQUIRED');
    const index = transaction.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    const found = transaction.savepoints[index];
    if (found === undefined) return this.#fail(client, 'SAVEPOINT_NOT_FOUND');
    if (found.own.size < transaction.own.size) this.#count('savepoint rollback');
    transaction.own = new Map(found.own);
    transaction.savepoints = transaction.savepoints.slice(0, index + 1);
    return DONE;
  }

  release(client: string, name: string): ModelAnswer {
    const transaction = this.#open.get(client);
    if (transaction === undefined) return error('TRANSACTION_REQUIRED');
    const index = transaction.savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (index < 0) return this.#fail(client, 'SAVEPOINT_NOT_FOUND');
    transaction.savepoints = transaction.savepoints.slice(0, index);
    this.#count('release');
    return DONE;
  }

  run(client: string, place: string, statement: ModelStatement): ModelAnswer {
    const view = (of: string): Rows => this.#view(client, of);
    const rows = view(place);
    const inRange = ({ from, to }: { readonly from: number; readonly to: number }) =>
      [...rows].filter(([id]) => id >= from && id <= to).sort(([a], [b]) => a - b);
    switch (statement.kind) {
      case 'insert':
        return this.#insert(client, place, statement.rows);
      case 'upsert':
        return this.#upsert(client, place, statement);
      case 'copy': {
        const v = view(statement.from).get(statement.id);
        return this.#insert(client, place, v === undefined ? [] : [[statement.id + statement.by, v]]);
      }
      case 'update': {
        const matched = inRange(statement);
        const changed = statement.add === 0 ? [] : matched;
        this.#write(
          client,
          changed.map(([id, v]) => ({ place, id, v: v + statement.add })),
        );
        if (statement.returning === true) return { kind: 'rows', rows: matched.map(([id, v]) => [id, v + statement.add]) };
        return { kind: 'count', count: changed.length };
      }
      case 'delete': {
        const gone = inRange(statement);
        this.#write(
          client,
          gone.map(([id]) => ({ place, id, v: undefined })),
        );
        return statement.returning === true ? { kind: 'rows', rows: gone } : { kind: 'count', count: gone.length };
      }
      case 'select': {
        const found = inRange(statement);
        return { kind: 'rows', rows: statement.descending ? found.reverse() : found };
      }
      default:
        return statement satisfies never;
    }
  }

  #insert(client: string, place: string, rows: readonly (readonly [number, number])[]): ModelAnswer {
    if (new Set(rows.map(([id]) => id)).size < rows.length) return this.#fail(client, 'DUPLICATE_KEY_IN_STATEMENT');
    const view = this.#view(client, place);
    if (rows.some(([id]) => view.has(id))) return this.#fail(client, 'DUPLICATE_KEY');
    this.#write(
      client,
      rows.map(([id, v]) => ({ place, id, v })),
    );
    return { kind: 'count', count: rows.length };
  }

  #upsert(client: string, place: string, { rows, limit, returning }: Extract<ModelStatement, { kind: 'upsert' }>): ModelAnswer {
    const view = new Map(this.#view(client, place));
    const written = new Map<number, number>();
    for (const [id, v] of rows) {
      const there = view.get(id);
      if (there !== undefined && limit === 'nothing') continue;
      if (there !== undefined && limit !== 'nothing') {
        if (written.has(id)) return this.#fail(client, 'CONFLICT_TWICE');
        if (there >= limit) continue;
      }
      written.set(id, (there ?? 0) + v);
      view.set(id, (there ?? 0) + v);
    }
    this.#write(
      client,
      [...written].map(([id, v]) => ({ place, id, v, upsert: true })),
    );
    return returning === true ? { kind: 'rows', rows: [...written] } : { kind: 'count', count: written.size };
  }

  #view(client: string, place: string): Rows {
    const transaction = this.#open.get(client);
    if (transaction === undefined) return this.rows(place);
    const rows = new Map(transaction.snapshot.get(place));
    for (const write of transaction.own.values()) {
      if (write.place !== place) continue;
      if (write.v === undefined) rows.delete(write.id);
      else rows.set(write.id, write.v);
    }
    return rows;
  }

  #write(client: string, writes: readonly Write[]): void {
    const transaction = this.#open.get(client);
    if (transaction === undefined) {
      this.#apply(writes);
      return;
    }
    for (const write of writes) {
      const upsert = write.upsert ?? transaction.own.get(nameOf(write))?.upsert ?? false;
      transaction.own.delete(nameOf(write));
      transaction.own.set(nameOf(write), { ...write, upsert });
    }
  }

  #apply(writes: readonly Write[]): void {
    this.#commits += 1;
    for (const write of writes) {
      const rows = this.#committed.get(write.place) ?? new Map<number, number>();
      this.#committed.set(write.place, rows);
      if (write.v === undefined) rows.delete(write.id);
      else rows.set(write.id, write.v);
      this.#writtenBy.set(nameOf(write), this.#commits);
    }
  }

  #fail(client: string, code: string): ModelAnswer {
    if (this.#open.delete(client)) this.#count(code);
    return error(code);
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

const nameOf = ({ place, id }: { readonly place: string; readonly id: number }): string => `${place}/${id}`;

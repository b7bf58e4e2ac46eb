import { History } from './history.ts';
import type { RowFilter } from './row-filter.ts';

/** A table of the run. Columns that nobody alters: {@link STABLE_COLUMNS}. */
export interface LiveTable {
  readonly name: string;
  readonly kind: 'user' | 'shared' | 'stream';
  readonly keyType: 'INT' | 'TEXT';
  /** The column that ALTER TABLE has added last and not dropped; its name is never used again. */
  passing: string | undefined;
}

/** What every table has beside its key `id`; `w` is the number of the statement that wrote the row. */
export const STABLE_COLUMNS: readonly string[] = ['id', 'n', 'big', 'f', 'txt', 'flag', 'doc', 'body', 'w'];

/** The definitions of {@link STABLE_COLUMNS}. */
export const columnsOf = ({ keyType }: LiveTable): string =>
  `id ${keyType} PRIMARY KEY, n INT, big BIGINT, f DOUBLE, txt TEXT, flag BOOLEAN, doc JSON, body TEXT, w INT`;

/** Statements kept of each partition, for the case that something is wrong. */
const TRACE_MAX = 400;

/** One partition: the rows of a table that belong to one user, or to all, with what is known of them. */
export class Place {
  readonly table: LiveTable;
  /** Whose rows they are; `undefined` when everybody's. */
  readonly owner: string | undefined;
  readonly history: History = new History();
  /** Numbers of statements on a stream that got no answer: their events may have been told, and are gone. */
  readonly lost: Set<number> = new Set();
  readonly #trace: string[] = [];

  constructor(table: LiveTable, owner: string | undefined) {
    this.table = table;
    this.owner = owner;
  }

  get name(): string {
    return this.owner === undefined ? this.table.name : `${this.table.name} of ${this.owner}`;
  }

  /** Writes a statement down. */
  note(line: string): void {
    this.#trace.push(line.length > 400 ? `${line.slice(0, 400)}… (${line.length} characters)` : line);
    if (this.#trace.length > TRACE_MAX) this.#trace.shift();
  }

  /** The newest statements, oldest first. */
  get trace(): readonly string[] {
    return this.#trace;
  }
}

/** A live query: what is asked, and what the oracle holds it against. */
export interface LiveQuery {
  readonly place: Place;
  /** Who asks. */
  readonly user: string;
  readonly filter: RowFilter;
  /** The columns asked for; `undefined`: `*`. */
  readonly columns: readonly string[] | undefined;
  readonly sql: string;
}

/** The SQL of a live query; `id` is always among the columns, for without its key a client could not keep its rows. */
export function liveQuery(parts: Omit<LiveQuery, 'sql'>): LiveQuery {
  const { place, filter, columns } = parts;
  const where = filter.sql === 'TRUE' ? '' : ` WHERE ${filter.sql}`;
  return { ...parts, sql: `SELECT ${columns?.join(', ') ?? '*'} FROM ${place.table.name}${where}` };
}

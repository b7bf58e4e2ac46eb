import type { ResultCell, SqlRunner } from '@kalamdb/testing';

/** Where the rows of a corpus may lie while its queries run: all in the hot tier, all in segments, or both. */
export const PLACEMENTS = ['hot', 'cold', 'half'] as const;
/** One of {@link PLACEMENTS}. */
export type Placement = (typeof PLACEMENTS)[number];

/** Of so many rows one is written anew before queries, so that hot versions lie over cold ones. */
const REWRITTEN_EVERY = 4;
/** Rows of a table that are written anew at a time. */
const REWRITTEN_ROWS_MAX = 6;
/** Milliseconds between two looks at the jobs. */
const POLL_MILLIS = 2;
const WRITTEN = /^\s*(INSERT\s+INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+"?(\w+)/i;
const MADE = /^\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"?(\w+)/i;
const DROPPED = /^\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?"?(\w+)/i;
const MOVED = /\((\d+) rows, (\d+) files\)/;

/** What was done so that rows lie where they should. */
export interface PlacementCounts {
  /** Flushes of tables. */
  flushes: number;
  /** Rows that were moved into segments, and the segments. */
  moved: number;
  segments: number;
  /** Rows that were deleted or changed over cold ones, and put back as they were. */
  rewritten: number;
}

interface PlacedTable {
  inserts: number;
  /** INSERTs at the time when rows were moved last. */
  moved: number;
  /** Something was written since rows were placed. */
  isTouched: boolean;
}

/** What is needed to write rows of a table anew. */
interface TableColumns {
  readonly names: readonly string[];
  readonly types: readonly string[];
  readonly key: number;
  /** A column that may be NULL. */
  readonly nullable: number;
}

/**
 * Runs the statements of one file in a namespace and moves rows into segments between them, with STORAGE FLUSH and its jobs. `cold`: before
 * whatever reads, all that was written. `half`: after the 1st, 3rd, 7th, … INSERT of a table, so that at least half of its rows are in several
 * segments; before whatever reads, some rows are written anew as they were, so that hot versions, cold tombstones and masks lie between.
 */
export class PlacedRunner implements SqlRunner {
  readonly #runner: SqlRunner;
  readonly #namespace: string;
  readonly #placement: Exclude<Placement, 'hot'>;
  readonly #counts: PlacementCounts;
  readonly #tables = new Map<string, PlacedTable>();
  readonly #jobsSeen = new Set<string>();

  constructor(
    runner: SqlRunner,
    place: { readonly namespace: string; readonly placement: Exclude<Placement, 'hot'>; counts: PlacementCounts },
  ) {
    this.#runner = runner;
    this.#namespace = place.namespace;
    this.#placement = place.placement;
    this.#counts = place.counts;
  }

  async run(sql: string): Promise<readonly (readonly ResultCell[])[]> {
    const [, verb, written = ''] = WRITTEN.exec(sql) ?? [];
    const isInsert = verb !== undefined && /^(INSERT|REPLACE)/i.test(verb);
    const made = MADE.exec(sql)?.[1];
    if (!isInsert && made === undefined) await this.#place();
    const rows = await this.#runner.run(sql);
    if (made !== undefined) this.#tables.set(made.toLowerCase(), { inserts: 0, moved: 0, isTouched: false });
    this.#tables.delete(DROPPED.exec(sql)?.[1]?.toLowerCase() ?? '');
    const table = this.#tables.get(written.toLowerCase());
    if (table !== undefined) await this.#wrote(table, isInsert);
    return rows;
  }

  async #wrote(table: PlacedTable, isInsert: boolean): Promise<void> {
    table.isTouched = true;
    if (isInsert) table.inserts += 1;
    if (!isInsert || this.#placement === 'cold' || table.inserts <= 2 * table.moved) return;
    table.moved = table.inserts;
    await this.#flush();
  }

  async #place(): Promise<void> {
    const touched = [...this.#tables].filter(([, { isTouched }]) => isTouched);
    for (const [, table] of touched) table.isTouched = false;
    if (touched.length === 0) return;
    if (this.#placement === 'cold') await this.#flush();
    else for (const [name] of touched) await this.#rewrite(name);
  }

  /** Deletes some rows, moves what is left of them, and inserts them again; changes others and takes that back. */
  async #rewrite(table: string): Promise<void> {
    const columns = await this.#columnsOf(table);
    const { names, types, key, nullable } = columns;
    const rows = (await this.#runner.run(`SELECT ${names.join(', ')} FROM ${table}`)).filter((_, index) => index % REWRITTEN_EVERY === 0);
    const literals = rows.slice(0, REWRITTEN_ROWS_MAX).map((row) => row.map((cell, index) => literal(cell, types[index] ?? '')));
    const deleted = literals.filter((_, index) => index % 2 === 0);
    const where = (row: readonly string[]): string => `WHERE ${names[key]} = ${row[key]}`;
    for (const row of deleted) await this.#runner.run(`DELETE FROM ${table} ${where(row)}`);
    if (deleted.length > 0) await this.#flush();
    for (const row of literals) {
      if (deleted.includes(row)) await this.#runner.run(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${row.join(', ')})`);
      else if (nullable >= 0) {
        await this.#runner.run(`UPDATE ${table} SET ${names[nullable]} = NULL ${where(row)}`);
        await this.#runner.run(`UPDATE ${table} SET ${names[nullable]} = ${row[nullable]} ${where(row)}`);
      }
    }
    this.#counts.rewritten += literals.length;
  }

  async #columnsOf(table: string): Promise<TableColumns> {
    const columns = await this.#runner.run(
      `SELECT column_name, data_type, primary_key, nullable FROM system.columns WHERE namespace_id = '${this.#namespace}' AND table_name = '${table}' AND column_name NOT IN ('_seq', '_deleted') ORDER BY ordinal`,
    );
    return {
      names: columns.map(([name]) => String(name)),
      types: columns.map(([, type]) => String(type)),
      key: columns.findIndex(([, , isKey]) => isKey === true),
      nullable: columns.findIndex(([, , isKey, isNullable]) => isKey === false && isNullable === true),
    };
  }

  /** Moves all rows of the namespace into segments. */
  async #flush(): Promise<void> {
    await this.#runner.run(`STORAGE FLUSH ALL IN ${this.#namespace}`);
    for (;;) {
      const jobs = await this.#runner.run(
        `SELECT job_id, status, message FROM system.jobs WHERE job_type = 'flush' AND parameters LIKE '%"${this.#namespace}.%'`,
      );
      const fresh = jobs.filter(([id]) => !this.#jobsSeen.has(String(id)));
      const failed = fresh.find(([, status]) => status !== 'completed' && status !== 'queued' && status !== 'running');
      if (failed !== undefined) throw new Error(`a flush has ${failed.join(' ')}`);
      if (fresh.every(([, status]) => status === 'completed')) return this.#flushed(fresh);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    }
  }

  #flushed(jobs: readonly (readonly ResultCell[])[]): void {
    for (const [id, , message] of jobs) {
      this.#jobsSeen.add(String(id));
      const [, rows = '0', files = '0'] = MOVED.exec(String(message)) ?? [];
      this.#counts.flushes += 1;
      this.#counts.moved += Number(rows);
      this.#counts.segments += Number(files);
    }
  }
}

function literal(cell: ResultCell, type: string): string {
  if (cell === null) return 'NULL';
  return typeof cell === 'string' && !/INT|DOUBLE|FLOAT|REAL|DECIMAL/i.test(type) ? `'${cell.replaceAll("'", "''")}'` : String(cell);
}

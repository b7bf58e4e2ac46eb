import type { DuckDBConnection } from '@duckdb/node-api';
import { partitionName } from '../../partition/overlay.ts';
import type { HotMasks } from './cold-relation.ts';
import type { HotSource, SourceColumn } from './query-messages.ts';

/** The schema of the tables that outlive their query. No text of a query names it: texts have only the names of their own sources. */
export const KEPT_SCHEMA = 'kept';
/** The column of a kept table that has the keys of its rows. No column of a table can be called like this. */
export const KEY_COLUMN = '\u0001key';
/** Share of the budget that one table may take. */
const TABLE_SHARE = 0.5;
/** Parts of tables whose last scan is remembered. */
const SCANS_MAX = 1000;

/** The rows of one partition as one kind of reader sees them: what a kept table is kept under. */
export type KeptName = string & { readonly __brand: 'KeptName' };

/**
 * Everything that two readers must have in common to share a table: the partition (with its owner), the version of the table, which cells
 * they may not see, up to which `_seq` versions are dead, and up to which tombstones have expired: one that is gone tells nobody any more that
 * its row has been deleted.
 */
export function keptName(
  { partition, table, maskedCells }: Pick<HotSource, 'partition' | 'table' | 'maskedCells'>,
  { flushedSeq, expiredSeq }: { readonly flushedSeq: bigint; readonly expiredSeq: bigint },
): KeptName {
  const masks = [...maskedCells].sort((a, b) => a - b);
  return `${partitionName(partition)}/v${table.version}/m${masks.join(',')}/f${flushedSeq}/e${expiredSeq}` as KeptName;
}

/** Which rows of a partition were read: all of them, as of one commit. */
export interface KeptContent {
  /** `_seq` of the newest version, tombstones included; 0n: there is none. The rows are the same until there is a newer one. */
  readonly changedSeq: bigint;
}

/** A table of DuckDB with the rows of a partition, kept for the next query on it. Immutable: a partition that has changed gets another one. */
export interface KeptTable extends KeptContent {
  /** Its name in {@link KEPT_SCHEMA}. */
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  readonly rows: number;
  readonly bytes: number;
  /** Rows of segments that all versions which were read have taken the place of, tombstones too. */
  readonly masks: HotMasks;
}

/** A scan that was done before. */
export interface PastScan extends KeptContent {
  /** All rows together are too many to be kept. */
  readonly tooLarge: boolean;
}

interface Entry extends KeptTable {
  readonly name: KeptName;
  /** Queries that read it. */
  pins: number;
}

/** Figures of the kept tables, for tests. */
export interface KeptStatus {
  /** That the next query may read. */
  readonly tables: number;
  /** Of all that are there, those that nobody gets any more included. */
  readonly bytes: number;
}

/**
 * Tables that were filled for a query and stay for the next one that reads the same rows, under a byte budget; the one used longest
 * ago goes first. What a running query reads goes when that has ended.
 */
export class KeptTables {
  readonly #bytesMax: number;
  readonly #connection: Pick<DuckDBConnection, 'run'>;
  /** In order of use, least recent first. */
  readonly #current = new Map<KeptName, Entry>();
  /** Nobody else gets them; they go with their last reader. */
  readonly #stale = new Set<Entry>();
  readonly #scans = new Map<KeptName, PastScan>();
  /** What is being filled, and what resolves when that has ended. */
  readonly #filling = new Map<KeptName, { readonly ended: Promise<void>; end(): void }>();
  #bytes = 0;
  #last = 0;

  /** `connection` is used for dropping tables only. */
  constructor(bytesMax: number, connection: Pick<DuckDBConnection, 'run'>) {
    this.#bytesMax = bytesMax;
    this.#connection = connection;
  }

  get status(): KeptStatus {
    return { tables: this.#current.size, bytes: this.#bytes };
  }

  /** The table under a name, whatever it holds. */
  find(name: KeptName): KeptTable | undefined {
    return this.#current.get(name);
  }

  /** What is known of the last scan of the rows under a name. */
  pastScan(name: KeptName): PastScan | undefined {
    return this.#scans.get(name);
  }

  remember(name: KeptName, { changedSeq, tooLarge }: PastScan): void {
    this.#scans.delete(name);
    const [oldest] = this.#scans.keys();
    if (this.#scans.size >= SCANS_MAX && oldest !== undefined) this.#scans.delete(oldest);
    this.#scans.set(name, { changedSeq, tooLarge });
  }

  /** Keeps a table that was found until the returned function is called. */
  pin(name: KeptName): () => void {
    const entry = this.#current.get(name);
    if (entry === undefined) return () => undefined;
    this.#current.delete(name);
    this.#current.set(name, entry);
    entry.pins += 1;
    return unpin(entry);
  }

  /**
   * Begins to fill a table: its name in the schema; `undefined` while somebody else fills one for the same readers. Whoever
   * begins calls {@link filled} or {@link abandoned}.
   */
  begin(name: KeptName): string | undefined {
    if (this.#filling.has(name)) return undefined;
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#filling.set(name, { ended, end });
    this.#last += 1;
    return `c${this.#last}`;
  }

  /** Resolves when nobody fills a table under this name, or has just begun to again. */
  async settled(name: KeptName): Promise<void> {
    await this.#filling.get(name)?.ended;
  }

  /** The table was not made after all. */
  abandoned(name: KeptName): void {
    this.#filling.get(name)?.end();
    this.#filling.delete(name);
  }

  /**
   * The table is there, and committed: it takes the place of the one before it, unless it is too large to be kept. Either way its first
   * reader has it until the returned function is called.
   */
  filled(name: KeptName, made: KeptTable): () => void {
    this.abandoned(name);
    const { table, columns, rows, bytes, changedSeq, masks } = made;
    const entry: Entry = { name, table, columns, rows, bytes, changedSeq, masks, pins: 1 };
    const tooLarge = bytes > this.#bytesMax * TABLE_SHARE;
    this.#bytes += bytes;
    this.remember(name, { changedSeq, tooLarge });
    if (tooLarge) {
      this.#stale.add(entry);
    } else {
      const before = this.#current.get(name);
      if (before !== undefined) this.#retire(before);
      this.#current.set(name, entry);
    }
    return unpin(entry);
  }

  /** Drops what nobody reads and nobody gets any more, then what was used longest ago until the budget holds. To be called when a query has ended. */
  async bound(): Promise<void> {
    let over = this.#bytes - this.#bytesMax;
    for (const entry of this.#stale) over -= entry.bytes;
    for (const entry of this.#current.values()) {
      if (over <= 0) break;
      if (entry.pins > 0) continue;
      over -= entry.bytes;
      this.#retire(entry);
    }
    await this.#dropStale();
  }

  /** Drops everything that nobody reads, for a query that has run out of memory; answers whether there was anything. */
  async makeRoom(): Promise<boolean> {
    for (const entry of this.#current.values()) if (entry.pins === 0) this.#retire(entry);
    return (await this.#dropStale()) > 0;
  }

  #retire(entry: Entry): void {
    this.#current.delete(entry.name);
    this.#stale.add(entry);
  }

  async #dropStale(): Promise<number> {
    const idle = [...this.#stale].filter(({ pins }) => pins === 0);
    for (const entry of idle) this.#stale.delete(entry);
    for (const [index, { table, bytes }] of idle.entries()) {
      try {
        await this.#connection.run(`DROP TABLE IF EXISTS "${KEPT_SCHEMA}"."${table}"`);
      } catch (error) {
        for (const left of idle.slice(index)) this.#stale.add(left);
        throw error;
      }
      this.#bytes -= bytes;
    }
    return idle.length;
  }
}

function unpin(entry: Entry): () => void {
  let held = true;
  return () => {
    if (held) entry.pins -= 1;
    held = false;
  };
}

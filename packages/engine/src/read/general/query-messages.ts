import type { Cell, DataType } from '@kalamdb/protocol';
import type { GeneralCheck } from '@kalamdb/sql';
import type { ColdPosition, PartitionId, Segment } from '@kalamdb/storage';
import type { ResultColumn } from '../../contract.ts';
import type { SentError, TableCopy } from '../scan-messages.ts';
import type { ProfiledRun } from './step-times.ts';

/** What the query thread is started with. */
export interface QueryStart {
  /** The hot tier's folder; `undefined`: the thread reads no partition by itself. */
  readonly path: string | undefined;
  readonly memoryBytesMax: number;
  /** Threads that compute. */
  readonly threads: number;
  /** Folders of segments: nothing else on the disk can be read. */
  readonly folders: readonly string[];
}

/** A column that a query names, as DuckDB has it for the query. */
export interface SourceColumn {
  readonly name: string;
  readonly type: DataType;
  /** Its place among the cells of a row; `_seq` and `_deleted` are in none. */
  readonly place: number | '_seq' | '_deleted';
  /** Its reader may not see it: texts are `***`, others NULL. */
  readonly masked: boolean;
}

/** The part of a partition that the thread reads by itself. */
export interface HotSource {
  readonly table: TableCopy;
  readonly partition: PartitionId;
  /** Every masked cell of the table, whether the query names it or not. */
  readonly maskedCells: readonly number[];
  /** Rows that fit none of these are not needed; `undefined`: all are. See `GeneralSource`. */
  readonly checks: readonly (readonly GeneralCheck[])[] | undefined;
}

/** A table of a query on its way to the thread. */
export interface SentSource {
  /** What the query calls it. */
  readonly name: string;
  /** What its users call it. */
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  /** `undefined`: the main thread sends the rows, which have the cells of {@link columns} in their order. */
  readonly hot: HotSource | undefined;
}

/** An output column as far as the plan knows it. */
export interface SentOutput {
  readonly name: string;
  readonly type: DataType | undefined;
  readonly shownAs: DataType | undefined;
  readonly flags: ResultColumn['flags'];
}

/** One query as the thread gets it. */
export interface SentQuery {
  readonly text: string;
  readonly parameters: readonly Cell[];
  readonly sources: readonly SentSource[];
  readonly outputs: readonly SentOutput[] | undefined;
  /** Only the columns are asked for: nothing is read and no row is sent. */
  readonly columnsOnly: boolean;
  /** Rows of the answer at most: it ends there. */
  readonly rowsMax: number | undefined;
  /** How it runs is asked for, and its rows are not. */
  readonly profiled: boolean;
}

/** A segment and its file, which the main thread holds until the query has ended. */
export interface SentFile {
  readonly path: string;
  readonly segment: Omit<Segment, 'stats' | 'masked' | 'maskedTombstones'>;
  /** What the manifest masks of it. */
  readonly masked: Uint32Array;
}

/** What a query reads of the segments of a partition. */
export interface ColdSource {
  /** Hot versions at or below it are dead. */
  readonly flushedSeq: bigint;
  readonly files: readonly SentFile[];
}

/** What the thread's view of a partition lacks. */
export interface RecentRows {
  /** The place of the source in the query. */
  readonly source: number;
  readonly chunks: readonly Uint8Array[];
  /** The rows of segments that these versions have taken the place of. */
  readonly masks: readonly ColdPosition[];
  /** Tombstones up to it may be gone from the thread's view. */
  readonly expiredSeq: bigint;
  /** `undefined`: there are no segments. */
  readonly cold: ColdSource | undefined;
}

/**
 * What is sent to the thread. A query that reads partitions by itself is followed by one `recent`; the rows of every other source follow
 * in the order of the sources. `more` asks for the next rows of the answer, once for each `rows`.
 */
export type QueryCall =
  | { readonly kind: 'query'; readonly id: number; readonly query: SentQuery }
  | { readonly kind: 'recent'; readonly id: number; readonly watermark: bigint; readonly sources: readonly RecentRows[] }
  | { readonly kind: 'rows'; readonly id: number; readonly source: number; readonly chunks: readonly Uint8Array[]; readonly last: boolean }
  | { readonly kind: 'more'; readonly id: number }
  | { readonly kind: 'abandon'; readonly id: number }
  | { readonly kind: 'close' };

/** What became of one source of a query. */
export interface SourceReport {
  /** What the query calls it. */
  readonly name: string;
  /** Rows of it that lie in a table of DuckDB: not those of segments. */
  readonly rows: number;
  /** The table was there already. */
  readonly kept: boolean;
  /** What filling it took. */
  readonly millis: number;
}

/** What a query that is profiled took in its thread. */
export interface QueryReport {
  readonly sources: readonly SourceReport[];
  /** Until all sources were there. */
  readonly readMillis: number;
  /** From then on. */
  readonly computeMillis: number;
  readonly run: ProfiledRun;
}

/**
 * What the thread answers: `opened` when its view of the hot tier stands, `taken` for each `rows` that it has read, then the answer in
 * `rows`. The last of them, or `failed` instead, says that the thread holds nothing of the query any more.
 */
export type QueryAnswer =
  | { readonly kind: 'opened'; readonly id: number; readonly appliedSeq: bigint }
  | { readonly kind: 'taken'; readonly id: number }
  | {
      readonly kind: 'rows';
      readonly id: number;
      /** With the first rows. */
      readonly columns: readonly ResultColumn[] | undefined;
      readonly chunks: readonly Uint8Array[];
      /** Characters and bytes of the texts in them. */
      readonly units: number;
      readonly last: boolean;
      /** With the last rows of a query that is profiled. */
      readonly report: QueryReport | undefined;
    }
  | { readonly kind: 'failed'; readonly id: number; readonly error: SentError };

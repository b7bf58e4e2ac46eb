import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import { type Database, open, type RootDatabase } from 'lmdb';

/** Version of the hot tier's layout, kept in its state record. */
export const hotFormat: number = 1;
/**
 * Address space for the map. It costs neither memory nor disk (the file grows with its content), and spares remapping under open
 * readers; beyond it lmdb grows the map by itself (measured: from 64 MiB to 382 MiB under two open readers).
 */
export const mapBytesDefault: number = 64 * 1024 ** 3;

const STATE_KEY = 'state';
const STATE_BYTES = 32;
/** LMDB's own limit; the store keeps far below it. */
const readersMax = 126;
const databasesMax = 4;

/** Keys are binary strings everywhere in this package; this writes and reads them without a buffer in between. */
const binaryKeys = {
  writeKey(key: string | KeyBytes, target: Buffer, start: number): number {
    if (typeof key === 'string') return start + target.write(key, start, 'latin1');
    // By a loop of its own, which sees one kind of source and target only: the library's keys are short, and a call costs more than they.
    const { bytes, start: from, length } = key;
    for (let at = 0; at < length; at += 1) target[start + at] = bytes[from + at] ?? 0;
    return start + length;
  },
  readKey(source: Buffer, start: number, end: number): string {
    return source.toString('latin1', start, end);
  },
};

/** A key that lies in a larger memory, for writing many without an object for each. */
export interface KeyBytes {
  readonly bytes: Buffer;
  start: number;
  length: number;
}

/**
 * A value that lies between two places of a larger memory, reckoned from the memory's begin: the library reads these properties and
 * remembers `address`. Nothing but the library should read bytes by it: views of this kind are slow.
 */
export interface ValueRange extends Buffer {
  start: number;
  end: number;
  address: number;
}

/** For values that lie in the memory of `source`. */
export function rangeOf(source: Buffer): ValueRange {
  return Object.assign(Buffer.from(source.buffer), { start: 0, end: 0, address: 0 });
}

/** One LMDB database with binary string keys and bytes as values. */
export interface ByteTable extends Database<Buffer, string> {
  /** Missing from the library's types: it takes a transaction like `get`. The bytes are overwritten by the next read. */
  getBinaryFast(key: string, options?: { transaction: ReadHandle }): Buffer | undefined;
  /** As the library's own, inside a write transaction; key and value are copied before it returns. */
  put(key: string | KeyBytes, value: Buffer): Promise<boolean>;
  /**
   * Missing from the library's types: it answers whether it has written. With `append` it does not, and answers `false`, unless the key is
   * above all that are there.
   */
  putSync(key: string | KeyBytes, value: Buffer, options?: { readonly append?: boolean } | number): unknown;
  remove(key: string | KeyBytes): Promise<boolean>;
}

/** A read transaction of the library; `done()` ends it. */
export type ReadHandle = ReturnType<Database<Buffer, string>['useReadTransaction']>;

/** The databases of the hot tier in one LMDB environment. Each thread opens its own handle on the same path. */
export interface LmdbTables {
  readonly root: RootDatabase<Buffer, string>;
  /** Partition prefix and row key -> row value (row-value.ts). */
  readonly rows: ByteTable;
  /** Partition prefix and `_seq` (8 bytes, big-endian) -> row key, of the newest version of each row. */
  readonly seqs: ByteTable;
  /** `state` -> {@link HotState}. */
  readonly meta: ByteTable;
}

/** What the hot tier knows of itself. */
export interface HotState {
  /** A: the name of the last commit it contains. */
  readonly appliedSeq: bigint;
  /** 16 random bytes as hex, made with the store; a new log takes it over, and another database's log does not fit. */
  readonly incarnation: string;
}

/** What a handle may do. */
export interface TablesOptions {
  readonly mapBytes: number;
  /** The handle never takes the write lock, not for opening either; another handle of this process has the path open already. */
  readonly readOnly?: boolean | undefined;
}

/** Opens the environment in the directory `path`, making it if it is not there. */
export function openTables(path: string, { mapBytes, readOnly = false }: TablesOptions): LmdbTables {
  const table = { encoding: 'binary', keyEncoder: binaryKeys } as const;
  const root = open<Buffer, string>({
    ...table,
    path,
    noSubdir: false,
    readOnly,
    // Only transactionSync writes, and each returns with its batch on the disk; mixed with asynchronous flushes lmdb reorders.
    overlappingSync: false,
    mapSize: mapBytes,
    maxReaders: readersMax,
    maxDbs: databasesMax,
  });
  const openTable = (name: string): ByteTable => root.openDB<Buffer, string>(name, table) as ByteTable;
  return { root, rows: openTable('rows'), seqs: openTable('seqs'), meta: openTable('meta') };
}

/**
 * The state record. Numbers are unsigned and big-endian.
 *
 * ```
 *  0   4  CRC32C of bytes 4 to 31
 *  4   4  format, 1
 *  8   8  applied seq
 * 16  16  incarnation
 * ```
 */
function encodeState(state: HotState): Buffer {
  const value = Buffer.alloc(STATE_BYTES);
  value.writeUInt32BE(hotFormat, 4);
  value.writeBigUInt64BE(state.appliedSeq, 8);
  value.write(state.incarnation, 16, 'hex');
  value.writeUInt32BE(crc32c(value.subarray(4)), 0);
  return value;
}

/**
 * Reads the state record, `undefined` in a new store. Throws DAMAGED_DATA when its checksum is wrong and FORMAT_UNKNOWN for
 * another format.
 */
export function readState(tables: LmdbTables, options?: { transaction: ReadHandle }): HotState | undefined {
  const value = tables.meta.get(STATE_KEY, options);
  if (value === undefined) return undefined;
  if (value.length !== STATE_BYTES || value.readUInt32BE(0) !== crc32c(value.subarray(4))) {
    throw kalamError('DAMAGED_DATA', { where: 'hot tier', reason: 'its state record does not match its checksum' });
  }
  const format = value.readUInt32BE(4);
  if (format !== hotFormat) throw kalamError('FORMAT_UNKNOWN', { path: 'hot tier', found: format, known: hotFormat });
  return { appliedSeq: value.readBigUInt64BE(8), incarnation: value.toString('hex', 16, STATE_BYTES) };
}

/** Writes the state record; only inside a write transaction. */
export function writeState(tables: LmdbTables, state: HotState): void {
  tables.meta.put(STATE_KEY, encodeState(state));
}

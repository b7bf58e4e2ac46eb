import type { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';

/** Version of LMDB's data file that is known here. */
export const lmdbFormat: number = 2;
/** Bytes from the begin of the file that hold both meta pages, whatever the page size. */
export const metaBytesMax: number = 2 * 65_536;

const HEADER_BYTES = 24;
const NODE_HEAD_BYTES = 8;
const MAGIC = 0xbeefc0de;
const TREE_BYTES = 48;
/** Keys of the tree of free pages are numbers. */
const FREE_TREE_FLAGS = 8;
const FLAG_BRANCH = 1;
const FLAG_LEAF = 2;
const FLAG_OVERFLOW = 4;
const FLAG_META = 8;
const NODE_BIG = 1;
const NODE_TREE = 2;
const OVERFLOW_REFERENCE_BYTES = 24;
/** `md_root` of a tree without pages. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** Where a tree begins and what it is said to hold. */
export interface TreeRecord {
  readonly flags: number;
  readonly depth: number;
  readonly entries: bigint;
  /** `undefined`: the tree is empty. */
  readonly root: number | undefined;
}

/** A meta page: one of the two newest states of the file. */
export interface MetaPage {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly transaction: bigint;
  readonly free: TreeRecord;
  readonly main: TreeRecord;
}

/**
 * An entry of a leaf; its key and its value are ranges of `page` or, for a large value, of `overflow`. One object serves for many
 * entries: a file has millions of them.
 */
export class LeafEntry {
  keyStart = 0;
  keyEnd = 0;
  isTree = false;
  valueStart = 0;
  valueBytes = 0;
  /** The first page of a large value; its bytes begin behind the header of that page. */
  overflow: { readonly page: number; readonly pages: number } | undefined = undefined;
  /** What it takes of the page. */
  bytes = 0;
}

/** Why a page is refused; the one who knows the file names it. */
export class PageDamage extends Error {}

const refuse = (page: number, reason: string): PageDamage => new PageDamage(`page ${page}: ${reason}`);

const pageNumber = (source: Buffer, at: number): number => {
  const number = source.readBigUInt64LE(at);
  return number > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(number);
};

/** Reads the record of a tree. */
export function readTreeRecord(source: Buffer, at: number): TreeRecord {
  const root = source.readBigUInt64LE(at + 40);
  return {
    flags: source.readUInt16LE(at + 4),
    depth: source.readUInt16LE(at + 6),
    entries: source.readBigUInt64LE(at + 32),
    root: root === NO_PAGE ? undefined : pageNumber(source, at + 40),
  };
}

/**
 * The meta page in force: of the two, the one with the higher transaction. Numbers are little-endian; behind a page header of 24 bytes:
 *
 * ```
 *   0   4  magic, beefc0de          24  48  tree of free pages; its first 4 bytes are the page size
 *   4   4  format, 2                72  48  main tree
 *   8  16  address, map size       120   8  last page in use
 * tree     4 page size or 0, 2 flags, 2 depth, 8 branch, leaf and overflow pages each, 8 entries, 8 root
 *                                  128   8  transaction
 * ```
 *
 * Throws PageDamage, or FORMAT_UNKNOWN naming `path`.
 */
export function readMeta(start: Buffer, path: string): MetaPage {
  const first = readMetaPage(start, 0, 0, path);
  const second = readMetaPage(start, first.pageBytes, 1, path);
  if (second.pageBytes !== first.pageBytes) throw refuse(1, `its page size is ${second.pageBytes}, that of page 0 ${first.pageBytes}`);
  const [older, newer] = first.transaction < second.transaction ? [first, second] : [second, first];
  // Transactions alternate between the two pages, so the older one is the transaction before.
  if (newer.transaction - older.transaction > 1n) {
    throw refuse(newer === first ? 0 : 1, `it is of transaction ${newer.transaction}, the other meta page of ${older.transaction}`);
  }
  return newer;
}

function readMetaPage(start: Buffer, at: number, page: number, path: string): MetaPage {
  const meta = at + HEADER_BYTES;
  if (start.length < meta + 136) throw refuse(page, 'the file ends in it');
  if (start.readUInt32LE(meta) !== MAGIC) throw refuse(page, 'it does not begin like an LMDB file');
  const format = start.readUInt32LE(meta + 4);
  if (format !== lmdbFormat) throw kalamError('FORMAT_UNKNOWN', { path, found: format, known: lmdbFormat });
  if (start.readBigUInt64LE(at) !== BigInt(page) || (start.readUInt16LE(at + 18) & FLAG_META) === 0)
    throw refuse(page, 'it is no meta page');
  const pageBytes = start.readUInt32LE(meta + 24);
  if (pageBytes < 512 || pageBytes > metaBytesMax / 2 || (pageBytes & (pageBytes - 1)) !== 0)
    throw refuse(page, `a page size of ${pageBytes}`);
  const transaction = start.readBigUInt64LE(meta + 128);
  const free = readTreeRecord(start, meta + 24);
  const main = readTreeRecord(start, meta + 72);
  if (free.flags !== FREE_TREE_FLAGS || main.flags !== 0) throw refuse(page, `its flags are ${free.flags} and ${main.flags}`);
  if (Number(transaction & 1n) !== page && transaction !== 0n) throw refuse(page, `it is of transaction ${transaction}`);
  return {
    pageBytes,
    transaction,
    lastPage: pageNumber(start, meta + 120),
    free,
    main,
  };
}

/** What a page says of itself, checked against where it was found. */
export interface PageHead {
  readonly number: number;
  readonly transaction: bigint;
  readonly isLeaf: boolean;
  /** Entries or, of a large value, pages. */
  readonly count: number;
}

/**
 * A page's header: 8 number, 8 transaction that wrote it, 2 unused, 2 flags (1 branch, 2 leaf, 4 large value), then 2 lower and
 * 2 upper end of the free space, or 4 pages of a large value. Offsets of entries (2 each) follow, counted from the header's end.
 */
export function readHead(page: Buffer, number: number, kind: 'tree' | 'overflow'): PageHead {
  if (page.readBigUInt64LE(0) !== BigInt(number)) throw refuse(number, `it says that it is page ${page.readBigUInt64LE(0)}`);
  const flags = page.readUInt16LE(18);
  const transaction = page.readBigUInt64LE(8);
  if (kind === 'overflow') {
    if (flags !== FLAG_OVERFLOW) throw refuse(number, `its flags are ${flags}`);
    return { number, transaction, isLeaf: false, count: page.readUInt32LE(20) };
  }
  if (flags !== FLAG_BRANCH && flags !== FLAG_LEAF) throw refuse(number, `its flags are ${flags}`);
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  if ((lower & 1) !== 0 || lower > upper || upper > page.length - HEADER_BYTES)
    throw refuse(number, `its free space is ${lower} to ${upper}`);
  return { number, transaction, isLeaf: flags === FLAG_LEAF, count: lower >> 1 };
}

/** Where the entry's head begins. */
const nodeAt = (page: Buffer, head: PageHead, index: number): number => {
  const offset = page.readUInt16LE(HEADER_BYTES + 2 * index);
  if ((offset & 1) !== 0 || offset < page.readUInt16LE(22) || HEADER_BYTES + offset + NODE_HEAD_BYTES > page.length) {
    throw refuse(head.number, `entry ${index} lies at ${offset}`);
  }
  return HEADER_BYTES + offset;
};

/** An entry of a branch: the key from which on the child holds keys, and the child. */
export function readBranchEntry(
  page: Buffer,
  head: PageHead,
  index: number,
): { readonly key: Buffer; readonly child: number; readonly bytes: number } {
  const node = nodeAt(page, head, index);
  const start = node + NODE_HEAD_BYTES;
  const keyBytes = page.readUInt16LE(node + 6);
  if (start + keyBytes > page.length) throw refuse(head.number, `the key of entry ${index} has ${keyBytes} bytes`);
  const child = page.readUInt32LE(node) + page.readUInt16LE(node + 4) * 2 ** 32;
  return { key: page.subarray(start, start + keyBytes), child, bytes: evenBytes(NODE_HEAD_BYTES + keyBytes) };
}

/** Reads an entry of a leaf into `entry`: 4 bytes of value, 2 flags (1 large value, 2 tree), 2 bytes of key, then key and value or its place. */
export function readLeafEntry(page: Buffer, head: PageHead, index: number, entry: LeafEntry): void {
  const node = nodeAt(page, head, index);
  const valueBytes = page.readUInt32LE(node);
  const flags = page.readUInt16LE(node + 4);
  const keyStart = node + NODE_HEAD_BYTES;
  const keyEnd = keyStart + page.readUInt16LE(node + 6);
  const isBig = flags === NODE_BIG;
  const isTree = flags === NODE_TREE;
  const inside = isBig ? OVERFLOW_REFERENCE_BYTES : valueBytes;
  if ((flags !== 0 && !isBig && !isTree) || (isTree && valueBytes !== TREE_BYTES) || keyEnd + inside > page.length) {
    throw refuse(head.number, `entry ${index} has ${valueBytes} bytes and flags ${flags}`);
  }
  entry.keyStart = keyStart;
  entry.keyEnd = keyEnd;
  entry.isTree = isTree;
  entry.valueStart = isBig ? HEADER_BYTES : keyEnd;
  entry.valueBytes = valueBytes;
  entry.overflow = isBig ? { page: pageNumber(page, keyEnd), pages: pageNumber(page, keyEnd + 16) } : undefined;
  entry.bytes = evenBytes(keyEnd - node + inside);
}

const evenBytes = (bytes: number): number => bytes + (bytes & 1);

/** Asserts that the entries of a page, `bytes` in all, fill what is behind its free space: then none lies over another. */
export function checkFill(page: Buffer, head: PageHead, bytes: number): void {
  const room = page.length - HEADER_BYTES - page.readUInt16LE(22);
  if (bytes !== room) throw refuse(head.number, `its entries take ${bytes} bytes of ${room}`);
}

/** Pages that a large value takes. */
export function overflowPages(valueBytes: number, pageBytes: number): number {
  return Math.ceil((HEADER_BYTES + valueBytes) / pageBytes);
}

import { Buffer } from 'node:buffer';
import { type KalamError, kalamError } from '@kalamdb/protocol';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import { checksumOfBytes } from '../log/checksum.ts';
import { type LeafEntry, type MetaPage, metaBytesMax, PageDamage, readMeta, readTreeRecord, type TreeRecord } from './lmdb-pages.ts';
import { type EntryVisitor, type PageSource, PageTrees, type WalkDepth } from './page-tree.ts';
import { rowValueFits } from './row-value.ts';

/** Bytes of a store that is checked in full before it is opened, about a quarter of a million small rows; of a larger one the branches are. */
export const checkedAtOpenBytesMax: number = 64 * 1024 * 1024;

const SLICE_BYTES = 4 * 1024 * 1024;
const SEQ_BYTES = 8;
const SEQ_IN_VALUE = 5;
const TABLE_NAMES: readonly string[] = ['meta', 'rows', 'seqs'];
const NUMBER_BYTES = 8;

/** Adds up what rows and index say, each in its own order: equal sums of equally many mean that they say the same. */
class IndexSum {
  count = 0;
  #sum = 0;

  add(checksum: number): void {
    this.count += 1;
    this.#sum ^= checksum;
  }

  equals(other: IndexSum): boolean {
    return this.count === other.count && this.#sum === other.#sum;
  }
}

const prefixEnd = (page: Buffer, entry: LeafEntry): number => {
  const end = page.indexOf(0, entry.keyStart + 4);
  if (end === -1 || end >= entry.keyEnd) throw new PageDamage(`page ${page.readBigUInt64LE(0)}: a key without an owner`);
  return end + 1;
};

const checkRows =
  (sum: IndexSum): EntryVisitor =>
  (page, entry, value) => {
    const start = entry.valueStart;
    const keyChecksum = checksumOfBytes(page, entry.keyStart, entry.keyEnd, 0);
    if (!rowValueFits(value, start, start + entry.valueBytes, keyChecksum))
      throw new PageDamage(`page ${page.readBigUInt64LE(0)}: a row does not match its checksum`);
    const prefix = prefixEnd(page, entry);
    const seqStart = start + SEQ_IN_VALUE;
    const ofPrefix = checksumOfBytes(page, entry.keyStart, prefix, 0);
    const ofSeq = checksumOfBytes(value, seqStart, seqStart + SEQ_BYTES, ofPrefix);
    sum.add(checksumOfBytes(page, prefix, entry.keyEnd, ofSeq));
  };

const checkSeqs =
  (sum: IndexSum): EntryVisitor =>
  (page, entry, value) => {
    const prefix = prefixEnd(page, entry);
    if (entry.keyEnd - prefix !== SEQ_BYTES) throw new PageDamage(`page ${page.readBigUInt64LE(0)}: an index key without a _seq`);
    const ofKey = checksumOfBytes(page, entry.keyStart, entry.keyEnd, 0);
    sum.add(checksumOfBytes(value, entry.valueStart, entry.valueStart + entry.valueBytes, ofKey));
  };

/**
 * Free pages: of each transaction that freed some, a list of 8-byte numbers: how many follow, then pages; a negative number is the
 * length of a run that begins with the page behind it, 0 is an empty place. None of them may be in use.
 */
const checkFree =
  (trees: PageTrees): EntryVisitor =>
  (page, { valueStart, valueBytes }, value) => {
    const user = Number(page.readBigUInt64LE(0));
    const places = Number(value.readBigUInt64LE(valueStart));
    if (valueBytes < NUMBER_BYTES || (places + 1) * NUMBER_BYTES > valueBytes)
      throw new PageDamage(`page ${user}: a list of ${places} free pages`);
    let run = 1;
    for (let place = 1; place <= places; place += 1) {
      const number = Number(value.readBigInt64LE(valueStart + place * NUMBER_BYTES));
      if (number < 0) run = -number;
      else {
        // Counted by how many are left: a number beyond 2^53 plus one is the same number.
        for (let at = 0; number !== 0 && at < run; at += 1) trees.used.add(number + at, user);
        run = 1;
      }
    }
  };

class StoreFile {
  readonly #file: OpenFile;
  readonly #bytes: number;

  constructor(file: OpenFile, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  async read(start: number, bytes: number): Promise<Buffer> {
    const target = Buffer.allocUnsafeSlow(Math.max(0, Math.min(bytes, this.#bytes - start)));
    let filled = 0;
    while (filled < target.length) {
      const count = await this.#file.read(target.subarray(filled, filled + SLICE_BYTES), start + filled);
      if (count === 0) break;
      filled += count;
    }
    return target.subarray(0, filled);
  }

  /** Pages from memory, or one by one from the file. */
  async pages({ pageBytes }: MetaPage, inMemory: boolean): Promise<PageSource> {
    if (!inMemory) return (numbers) => Promise.all(numbers.map((number) => this.read(number * pageBytes, pageBytes)));
    const all = await this.read(0, this.#bytes);
    return (numbers) => numbers.map((number) => all.subarray(number * pageBytes, (number + 1) * pageBytes));
  }
}

async function readTables(trees: PageTrees, meta: MetaPage): Promise<ReadonlyMap<string, TreeRecord>> {
  const tables = new Map<string, TreeRecord>();
  await trees.walk(meta.main, (page, entry) => {
    const name = page.toString('latin1', entry.keyStart, entry.keyEnd).replace(/\0$/, '');
    const tree = entry.isTree ? readTreeRecord(page, entry.valueStart) : undefined;
    if (tree === undefined || tree.flags !== 0 || !TABLE_NAMES.includes(name)) {
      throw new PageDamage(`page ${page.readBigUInt64LE(0)}: a table '${name}' with flags ${tree?.flags}`);
    }
    tables.set(name, tree);
  });
  return tables;
}

async function checkTrees(meta: MetaPage, source: PageSource, depth: WalkDepth): Promise<void> {
  const trees = new PageTrees(meta, source, depth);
  const tables = await readTables(trees, meta);
  const sums = { rows: new IndexSum(), seqs: new IndexSum() };
  const visitors = new Map<string, EntryVisitor>([
    ['rows', checkRows(sums.rows)],
    ['seqs', checkSeqs(sums.seqs)],
  ]);
  for (const [name, tree] of tables) await trees.walk(tree, visitors.get(name) ?? (() => undefined));
  const rows = tables.get('rows')?.entries;
  if (rows !== tables.get('seqs')?.entries || (depth === 'leaves' && !sums.rows.equals(sums.seqs))) {
    throw new PageDamage('the index by _seq does not match the rows');
  }
  await trees.walk(meta.free, checkFree(trees), 'numbers');
}

/** How much of a store was checked. */
export type StoreCheck = 'nothing there' | WalkDepth;

/**
 * Checks a store's file before LMDB, which believes every byte, opens it: meta pages, the trees, each row against its checksum,
 * and the rows against the index. Above `bytesMax` it leaves out the leaves. Nobody may write meanwhile. Throws DAMAGED_DATA naming the file and
 * page, or FORMAT_UNKNOWN.
 */
export async function checkStoreFile(files: FileSystem, path: string, bytesMax: number): Promise<StoreCheck> {
  const bytes = (await files.stat(path))?.bytes ?? 0;
  if (bytes === 0) return 'nothing there';
  const file = await files.open(path, 'read');
  try {
    const store = new StoreFile(file, bytes);
    const meta = readMeta(await store.read(0, metaBytesMax), path);
    // The file may end before the last pages if they are free, but not by far.
    if ((meta.lastPage + 1) * meta.pageBytes > 2 * bytes + checkedAtOpenBytesMax) {
      throw new PageDamage(`its last page is ${meta.lastPage}, but it has ${bytes} bytes`);
    }
    const depth: WalkDepth = bytes <= bytesMax ? 'leaves' : 'branches';
    await checkTrees(meta, await store.pages(meta, depth === 'leaves' && bytes <= checkedAtOpenBytesMax), depth);
    return depth;
  } catch (error) {
    throw named(error, path);
  } finally {
    await file.close();
  }
}

const named = (error: unknown, path: string): unknown => {
  if (error instanceof PageDamage) return damaged(path, error.message, error);
  // A number that is out of range led outside of a page.
  return error instanceof RangeError ? damaged(path, 'a page is cut short', error) : error;
};

const damaged = (where: string, reason: string, cause: Error): KalamError => kalamError('DAMAGED_DATA', { where, reason }, { cause });

import { Buffer } from 'node:buffer';
import {
  checkFill,
  LeafEntry,
  type MetaPage,
  overflowPages,
  PageDamage,
  type PageHead,
  readBranchEntry,
  readHead,
  readLeafEntry,
  type TreeRecord,
} from './lmdb-pages.ts';

/** Gives pages, `pageBytes` each; shorter or missing ones when the file ends before. */
export type PageSource = (numbers: readonly number[]) => readonly Buffer[] | Promise<readonly Buffer[]>;

/** What is done with each leaf entry, in key order. Its key lies in `page`, its value in `value`: the same, or the pages of a large one. */
export type EntryVisitor = (page: Buffer, entry: LeafEntry, value: Buffer) => void;

interface Bounds {
  readonly low: Buffer | undefined;
  readonly high: Buffer | undefined;
}

interface Subtree extends Bounds {
  readonly number: number;
  readonly depth: number;
  /** Of the page above: a page is never newer than the one that points to it. */
  readonly transaction: bigint;
}

/** Which pages are in use, each once. */
class PageSet {
  readonly #bits: Uint32Array;
  readonly #pages: number;

  constructor(pages: number) {
    this.#pages = pages;
    this.#bits = new Uint32Array((pages + 31) >>> 5);
  }

  /** Throws PageDamage when the page is not one of the file's or in use already. */
  add(number: number, user: number): void {
    if (number < 2 || number >= this.#pages) throw new PageDamage(`page ${user}: it points to page ${number} of ${this.#pages}`);
    const word = number >>> 5;
    const bit = 1 << (number & 31);
    const bits = this.#bits[word] ?? 0;
    if ((bits & bit) !== 0) throw new PageDamage(`page ${user}: it points to page ${number}, which has another use`);
    this.#bits[word] = bits | bit;
  }
}

/** How far a walk goes. `branches` reads everything but the leaves, whose number is about a hundredth. */
export type WalkDepth = 'branches' | 'leaves';

/** Walks the trees of one state of an LMDB file and checks that they are well formed. Throws PageDamage naming the page. */
export class PageTrees {
  readonly #meta: MetaPage;
  readonly #source: PageSource;
  readonly #used: PageSet;
  readonly #depth: WalkDepth;

  constructor(meta: MetaPage, source: PageSource, depth: WalkDepth) {
    this.#meta = meta;
    this.#source = source;
    this.#used = new PageSet(meta.lastPage + 1);
    this.#depth = depth;
  }

  get used(): PageSet {
    return this.#used;
  }

  /** Walks a tree in key order; the order of keys that are `numbers`, not byte strings, is not looked at. */
  async walk(tree: TreeRecord, visit: EntryVisitor, keys: 'bytes' | 'numbers' = 'bytes'): Promise<void> {
    if (tree.root === undefined) {
      if (tree.entries !== 0n || tree.depth !== 0) throw new PageDamage(`a tree of ${tree.entries} entries has no page`);
      return;
    }
    let entries = 0;
    const counted: EntryVisitor = (page, entry, value) => {
      entries += 1;
      visit(page, entry, value);
    };
    this.#used.add(tree.root, tree.root);
    const root = { number: tree.root, depth: tree.depth, transaction: this.#meta.transaction, low: undefined, high: undefined };
    const [page] = await this.#source([tree.root]);
    await this.#walk(root, page, { visit: counted, ordered: keys === 'bytes' });
    const complete = this.#depth === 'leaves' || tree.depth === 1;
    if (complete && BigInt(entries) !== tree.entries) throw new PageDamage(`a tree of ${tree.entries} entries has ${entries}`);
  }

  async #walk(subtree: Subtree, page: Buffer | undefined, how: { visit: EntryVisitor; ordered: boolean }): Promise<void> {
    const head = this.#head(subtree, page);
    if (page === undefined) return;
    if (head.isLeaf) return this.#leaf(subtree, head, { page, ...how });
    const children = this.#children(subtree, head, { page, ordered: how.ordered });
    if (subtree.depth === 2 && this.#depth === 'branches') return;
    const pages = await this.#source(children.map(({ number }) => number));
    for (const [index, child] of children.entries()) {
      await this.#walk(child, pages[index], how);
    }
  }

  #head(subtree: Subtree, page: Buffer | undefined): PageHead {
    const { number, depth } = subtree;
    if (page === undefined || page.length < this.#meta.pageBytes) throw new PageDamage(`page ${number}: the file ends before it`);
    const head = readHead(page, number, 'tree');
    if (head.transaction > subtree.transaction) throw new PageDamage(`page ${number}: it is newer than what points to it`);
    if (head.isLeaf !== (depth === 1)) throw new PageDamage(`page ${number}: it lies at level ${depth}`);
    if (head.count === 0) throw new PageDamage(`page ${number}: it is empty`);
    return head;
  }

  #children(subtree: Subtree, head: PageHead, from: { page: Buffer; ordered: boolean }): Subtree[] {
    const children: Subtree[] = [];
    let bytes = 0;
    let low = subtree.low;
    for (let index = 0; index < head.count; index += 1) {
      const entry = readBranchEntry(from.page, head, index);
      bytes += entry.bytes;
      this.#used.add(entry.child, head.number);
      if (index > 0 && from.ordered) {
        checkOrder(head, low, entry.key, index > 1 ? 1 : 0);
        if (subtree.high !== undefined && Buffer.compare(entry.key, subtree.high) >= 0) throw outOfPlace(head);
      }
      const before = children.at(-1);
      if (before !== undefined) children[children.length - 1] = { ...before, high: entry.key };
      if (index > 0) low = entry.key;
      children.push({ number: entry.child, depth: subtree.depth - 1, transaction: head.transaction, low, high: subtree.high });
    }
    checkFill(from.page, head, bytes);
    return children;
  }

  async #leaf(subtree: Subtree, head: PageHead, how: { page: Buffer; visit: EntryVisitor; ordered: boolean }): Promise<void> {
    const { page, visit, ordered } = how;
    let bytes = 0;
    let before: LeafEntry | undefined;
    let [entry, other] = [new LeafEntry(), new LeafEntry()];
    for (let index = 0; index < head.count; index += 1) {
      readLeafEntry(page, head, index, entry);
      bytes += entry.bytes;
      if (ordered && before !== undefined && compareKeys(page, before, entry) >= 0) throw outOfPlace(head);
      if (ordered && before === undefined && subtree.low !== undefined)
        checkOrder(head, subtree.low, page.subarray(entry.keyStart, entry.keyEnd), 0);
      const value = entry.overflow === undefined ? page : await this.#overflow(head, entry);
      visit(page, entry, value);
      before = entry;
      [entry, other] = [other, entry];
    }
    if (ordered && before !== undefined && subtree.high !== undefined) {
      if (Buffer.compare(page.subarray(before.keyStart, before.keyEnd), subtree.high) >= 0) throw outOfPlace(head);
    }
    checkFill(page, head, bytes);
  }

  /** The pages of a large value, one behind the other. */
  async #overflow(head: PageHead, { overflow, valueBytes }: LeafEntry): Promise<Buffer> {
    const { page: first, pages } = overflow ?? { page: 0, pages: 0 };
    // A value that a shorter one replaced within one transaction keeps the pages it had.
    if (pages < overflowPages(valueBytes, this.#meta.pageBytes))
      throw new PageDamage(`page ${head.number}: a value of ${valueBytes} bytes has ${pages} pages`);
    // Before anything is made of that length.
    if (first + pages > this.#meta.lastPage + 1)
      throw new PageDamage(`page ${head.number}: a value of ${pages} pages goes beyond the last page`);
    const numbers = Array.from({ length: pages }, (_, at) => first + at);
    for (const number of numbers) this.#used.add(number, head.number);
    const content = Buffer.concat(await this.#source(numbers));
    if (content.length < pages * this.#meta.pageBytes) throw new PageDamage(`page ${first}: the file ends in it`);
    const found = readHead(content, first, 'overflow');
    if (found.transaction > head.transaction || found.count !== pages)
      throw new PageDamage(`page ${first}: it does not fit the entry that points to it`);
    return content;
  }
}

const outOfPlace = (head: PageHead): PageDamage => new PageDamage(`page ${head.number}: its keys are not in their place`);

const checkOrder = (head: PageHead, low: Buffer | undefined, key: Buffer, atLeast: 0 | 1): void => {
  if (low !== undefined && Buffer.compare(key, low) < atLeast) throw outOfPlace(head);
};

/** The order of two keys of a page. By hand: they are short, and there are many. */
const compareKeys = (page: Buffer, a: LeafEntry, b: LeafEntry): number => {
  const aBytes = a.keyEnd - a.keyStart;
  const bBytes = b.keyEnd - b.keyStart;
  const common = Math.min(aBytes, bBytes);
  for (let at = 0; at < common; at += 1) {
    const difference = (page[a.keyStart + at] ?? 0) - (page[b.keyStart + at] ?? 0);
    if (difference !== 0) return difference;
  }
  return aBytes - bBytes;
};

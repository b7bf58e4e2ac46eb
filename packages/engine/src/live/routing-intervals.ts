import type { CellComparison, NonNullCell } from '@kalamdb/protocol';
import type { KeyBound, KeyBounds } from '@kalamdb/sql';
import { eachOf, type OneOrMany, withOne, withoutOne } from './one-or-many.ts';

interface Node<T extends object> {
  readonly range: KeyBounds;
  held: OneOrMany<T>;
  /** Random: a parent's is never below those of its children, which keeps the tree flat whatever the order of insertion. */
  readonly priority: number;
  /** The greatest upper bound in this node and below it. */
  reach: KeyBound | undefined;
  before: Node<T> | undefined;
  after: Node<T> | undefined;
}

/** Multiplier and increment of the sequence of priorities (Numerical Recipes); they need not be hard to guess, only to be spread. */
const PRIORITY_FACTOR = 1_664_525;
const PRIORITY_STEP = 1_013_904_223;

/**
 * Which ranges of cells hold a cell. A treap in the order of the lower bounds, each node of which knows how far the ranges below it reach:
 * inserting and removing cost the logarithm of the number of ranges, and finding k of them at most k times that, one cell that none holds
 * one way down.
 */
export class RoutingIntervals<T extends object> {
  readonly #compare: CellComparison;
  #root: Node<T> | undefined;
  #seed = 1;

  constructor(compare: CellComparison) {
    this.#compare = compare;
  }

  get isEmpty(): boolean {
    return this.#root === undefined;
  }

  /** Has `item` found in a range; twice the same is once. */
  add(range: KeyBounds, item: T): void {
    this.#root = this.#added(this.#root, range, item);
  }

  /** Takes `item` out of a range; a range that it is not in is ignored. */
  remove(range: KeyBounds, item: T): void {
    this.#root = this.#removed(this.#root, range, item);
  }

  /** Calls `found` for the items of each range that holds the cell: an item in two such ranges is found twice. The tree must not change meanwhile. */
  find(cell: NonNullCell, found: (item: T) => void): void {
    // What is not a number is in no range.
    if (!Number.isNaN(cell)) this.#find(this.#root, cell, found);
  }

  #find(start: Node<T> | undefined, cell: NonNullCell, found: (item: T) => void): void {
    for (let node = start; node !== undefined && this.#isBelow(cell, node.reach); node = node.after) {
      this.#find(node.before, cell, found);
      if (!this.#isAbove(cell, node.range.from)) return;
      if (this.#isBelow(cell, node.range.to)) for (const item of eachOf(node.held)) found(item);
    }
  }

  #added(node: Node<T> | undefined, range: KeyBounds, item: T): Node<T> {
    if (node === undefined) {
      this.#seed = (Math.imul(this.#seed, PRIORITY_FACTOR) + PRIORITY_STEP) >>> 0;
      return { range, held: item, priority: this.#seed, reach: range.to, before: undefined, after: undefined };
    }
    const order = this.#compareRanges(range, node.range);
    if (order === 0) {
      node.held = withOne(node.held, item);
      return node;
    }
    if (order < 0) {
      node.before = this.#added(node.before, range, item);
      return this.#upright(node, node.before);
    }
    node.after = this.#added(node.after, range, item);
    return this.#upright(node, node.after);
  }

  /** The node above its child, or the child above the node, as their priorities say. */
  #upright(node: Node<T>, child: Node<T>): Node<T> {
    if (child.priority <= node.priority) return this.#measured(node);
    if (child === node.before) {
      node.before = child.after;
      child.after = this.#measured(node);
    } else {
      node.after = child.before;
      child.before = this.#measured(node);
    }
    return this.#measured(child);
  }

  #removed(node: Node<T> | undefined, range: KeyBounds, item: T): Node<T> | undefined {
    if (node === undefined) return undefined;
    const order = this.#compareRanges(range, node.range);
    if (order < 0) node.before = this.#removed(node.before, range, item);
    else if (order > 0) node.after = this.#removed(node.after, range, item);
    else {
      const left = withoutOne(node.held, item);
      if (left === undefined) return this.#joined(node.before, node.after);
      node.held = left;
      return node;
    }
    return this.#measured(node);
  }

  /** One tree of two, of which all of the first comes before all of the second. */
  #joined(first: Node<T> | undefined, second: Node<T> | undefined): Node<T> | undefined {
    if (first === undefined || second === undefined) return first ?? second;
    if (first.priority >= second.priority) {
      first.after = this.#joined(first.after, second);
      return this.#measured(first);
    }
    second.before = this.#joined(first, second.before);
    return this.#measured(second);
  }

  #measured(node: Node<T>): Node<T> {
    let reach = node.range.to;
    for (const child of [node.before, node.after])
      if (child !== undefined && this.#compareUpper(child.reach, reach) > 0) reach = child.reach;
    node.reach = reach;
    return node;
  }

  #compareRanges(a: KeyBounds, b: KeyBounds): number {
    return this.#compareLower(a.from, b.from) || this.#compareUpper(a.to, b.to);
  }

  #compareLower(a: KeyBound | undefined, b: KeyBound | undefined): number {
    if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
    return this.#compare(a.cell, b.cell) || Number(b.inclusive) - Number(a.inclusive);
  }

  #compareUpper(a: KeyBound | undefined, b: KeyBound | undefined): number {
    if (a === undefined || b === undefined) return Number(b !== undefined) - Number(a !== undefined);
    return this.#compare(a.cell, b.cell) || Number(a.inclusive) - Number(b.inclusive);
  }

  #isAbove(cell: NonNullCell, from: KeyBound | undefined): boolean {
    if (from === undefined) return true;
    const order = this.#compare(cell, from.cell);
    return from.inclusive ? order >= 0 : order > 0;
  }

  #isBelow(cell: NonNullCell, to: KeyBound | undefined): boolean {
    if (to === undefined) return true;
    const order = this.#compare(cell, to.cell);
    return to.inclusive ? order <= 0 : order < 0;
  }
}

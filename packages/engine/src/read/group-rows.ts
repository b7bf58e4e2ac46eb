import { type Cell, type DataType, kalamError } from '@kalamdb/protocol';
import {
  type Accumulator,
  type AggregateCall,
  cellIdentity,
  type EvalContext,
  type Evaluator,
  type Grouping,
  type InputRow,
  type SelectPlan,
} from '@kalamdb/sql';

/** Groups that one SELECT holds at most. */
const GROUPS_MAX = 1_000_000;

interface Group {
  readonly keys: readonly Cell[];
  readonly accumulators: readonly Accumulator[];
}

/**
 * Puts qualifying rows into groups. The groups' rows come in the order in which the groups were met: the aggregates, then
 * the keys in reverse order. Without keys there is exactly one group. NULLs are one group.
 */
export class Grouper {
  readonly #grouping: Grouping;
  readonly #context: EvalContext;
  readonly #countsOnly: boolean;
  readonly #groups: GroupTable;
  readonly #find: (row: InputRow) => Group;
  readonly #feeds: readonly Feed[];
  #count = 0;

  constructor(plan: SelectPlan, grouping: Grouping, context: EvalContext) {
    this.#grouping = grouping;
    this.#context = context;
    this.#countsOnly = plan.countsTable;
    this.#groups = new GroupTable(grouping, context);
    this.#find = this.#groups.finder();
    this.#feeds = grouping.aggregates.map(feeder);
  }

  add(row: InputRow): void {
    if (this.#countsOnly) {
      this.#count += 1;
      return;
    }
    const { accumulators } = this.#find(row);
    const feeds = this.#feeds;
    for (let i = 0; i < feeds.length; i += 1) {
      const accumulator = accumulators[i];
      if (accumulator !== undefined) feeds[i]?.(accumulator, row, this.#context);
    }
  }

  /** Takes rows that were counted elsewhere, of a plan that only counts. */
  count(rows: number): void {
    this.#count += rows;
  }

  /** One row per group. Call once, at the end. */
  rows(): Iterable<InputRow> {
    if (!this.#countsOnly) return this.#groups.rows();
    return [groupRow(this.#grouping.aggregates.map(() => BigInt(this.#count)))];
  }
}

function groupRow(cells: readonly Cell[]): InputRow {
  return { cells, seq: 0n, deleted: false };
}

type Feed = (accumulator: Accumulator, row: InputRow, context: EvalContext) => void;

function feeder({ argument, filter }: AggregateCall): Feed {
  const evaluate: Evaluator = argument?.evaluate ?? (() => null);
  if (filter === undefined) return (accumulator, row, context) => accumulator.add(evaluate(row, context));
  return (accumulator, row, context) => {
    if (filter(row, context)) accumulator.add(evaluate(row, context));
  };
}

/** A level of the table: a map of cells to groups (last key) or to the next level. */
type Level = Map<Cell, Level | Group>;

/** Groups by their keys: one nested map per key, so that no combined key has to be made for each row. */
class GroupTable {
  readonly #grouping: Grouping;
  readonly #context: EvalContext;
  readonly #groups: Group[] = [];
  readonly #root: Level = new Map();

  constructor(grouping: Grouping, context: EvalContext) {
    this.#grouping = grouping;
    this.#context = context;
    if (grouping.keys.length === 0) this.#start([]);
  }

  /** The function that finds or makes the group of a row. */
  finder(): (row: InputRow) => Group {
    const { keys } = this.#grouping;
    const [only] = this.#groups;
    if (only !== undefined) return () => only;
    const readers = keys.map((key) => keyReader(key.evaluate, key.type));
    const [first] = readers;
    if (readers.length === 1 && first !== undefined) return this.#singleKeyFinder(first);
    return (row) => this.#find(row, readers);
  }

  *rows(): Iterable<InputRow> {
    for (const { keys, accumulators } of this.#groups) {
      const cells: Cell[] = accumulators.map((accumulator) => accumulator.result());
      for (let i = keys.length - 1; i >= 0; i -= 1) cells.push(keys[i] ?? null);
      yield groupRow(cells);
    }
  }

  #singleKeyFinder({ evaluate, identity }: KeyReader): (row: InputRow) => Group {
    const groups = new Map<Cell, Group>();
    return (row) => {
      const cell = evaluate(row, this.#context);
      const name = cell === null ? null : identity(cell);
      const known = groups.get(name);
      if (known !== undefined) return known;
      const made = this.#start([cell]);
      groups.set(name, made);
      return made;
    };
  }

  #find(row: InputRow, readers: readonly KeyReader[]): Group {
    const cells: Cell[] = [];
    let level = this.#root;
    for (let i = 0; ; i += 1) {
      const reader = readers[i];
      if (reader === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a group without keys' });
      const cell = reader.evaluate(row, this.#context);
      const name = cell === null ? null : reader.identity(cell);
      cells.push(cell);
      const last = i === readers.length - 1;
      let next = level.get(name);
      if (next === undefined) {
        next = last ? this.#start(cells) : new Map();
        level.set(name, next);
      }
      if (!(next instanceof Map)) return next;
      level = next;
    }
  }

  #start(keys: readonly Cell[]): Group {
    if (this.#groups.length >= GROUPS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: GROUPS_MAX, what: 'groups' });
    const group = { keys, accumulators: this.#grouping.aggregates.map((aggregate) => aggregate.start(this.#context)) };
    this.#groups.push(group);
    return group;
  }
}

interface KeyReader {
  readonly evaluate: Evaluator;
  readonly identity: ReturnType<typeof cellIdentity>;
}

function keyReader(evaluate: Evaluator, type: DataType): KeyReader {
  return { evaluate, identity: cellIdentity(type) };
}

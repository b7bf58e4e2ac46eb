/** What a transaction did with a list. Ids are appended once in a history. */
export type AppendStep =
  | { readonly kind: 'read'; readonly key: string; readonly ids: readonly number[] }
  | { readonly kind: 'append'; readonly key: string; readonly id: number };

/** One transaction as its client saw it, in the order of its steps. */
export interface AppendTransaction {
  readonly name: string;
  /** `unknown`: the client does not know whether it was committed. */
  readonly outcome: 'committed' | 'aborted' | 'unknown';
  readonly steps: readonly AppendStep[];
}

/** Concurrent transactions that read lists and append to them, and the lists at the end. */
export interface AppendHistory {
  readonly transactions: readonly AppendTransaction[];
  readonly final: ReadonlyMap<string, readonly number[]>;
}

/**
 * What in a history snapshot isolation does not allow; empty when nothing. The final lists give the order of the appends, so
 * every read names the transactions it has seen:
 * - lost updates and dirty writes: a list holds each committed id once and no aborted one;
 * - dirty, intermediate and out-of-order reads: a read is a prefix of the final list that ends with a transaction's last
 *   append, followed by the reader's own appends;
 * - non-repeatable and fractured reads, and every other anomaly: there is no cycle in (wr ∪ ww) ; rw?, which is the
 *   definition of snapshot isolation by Cerone and Gotsman (Analysing Snapshot Isolation, 2018).
 */
export function isolationViolations(history: AppendHistory): readonly string[] {
  const lists = listViolations(history);
  if (lists.length > 0) return lists;
  const reads = readViolations(history);
  return reads.length > 0 ? reads : cycleViolations(history);
}

function listViolations({ transactions, final }: AppendHistory): readonly string[] {
  const found: string[] = [];
  const writers = writersOf(transactions);
  for (const [key, ids] of final) for (const id of ids) if (!writers.has(id)) found.push(`${key} holds ${id}, which nobody has appended`);
  for (const { name, outcome, steps } of transactions) {
    for (const step of steps) {
      if (step.kind !== 'append') continue;
      const times = (final.get(step.key) ?? []).filter((id) => id === step.id).length;
      if (times > 1) found.push(`${step.key} holds ${step.id} ${times} times`);
      if (times === 0 && outcome === 'committed') found.push(`lost update: ${step.key} lacks ${step.id} of ${name}`);
      if (times === 1 && outcome === 'aborted') found.push(`dirty write: ${step.key} holds ${step.id} of ${name}, which was aborted`);
    }
  }
  return found;
}

/** The transaction behind each id. */
function writersOf(transactions: readonly AppendTransaction[]): ReadonlyMap<number, AppendTransaction> {
  return new Map(transactions.flatMap((by) => by.steps.flatMap((step) => (step.kind === 'append' ? [[step.id, by] as const] : []))));
}

function readViolations({ transactions, final }: AppendHistory): readonly string[] {
  const found: string[] = [];
  const writers = writersOf(transactions);
  for (const transaction of transactions) {
    const own = new Map<string, number[]>();
    const seen = new Map<string, string>();
    for (const step of transaction.steps) {
      const appended = own.get(step.key) ?? [];
      if (step.kind === 'append') {
        own.set(step.key, [...appended, step.id]);
        continue;
      }
      const where = `${transaction.name} reads ${step.key} as [${step.ids}]`;
      const foreign = step.ids.slice(0, step.ids.length - appended.length);
      if (String(step.ids.slice(foreign.length)) !== String(appended)) found.push(`${where}: its own appends [${appended}] are missing`);
      const list = final.get(step.key) ?? [];
      if (foreign.some((id, index) => id !== list[index])) found.push(`dirty read: ${where}, the list became [${list}]`);
      const last = foreign.at(-1);
      const next = list[foreign.length];
      const half = last !== undefined && next !== undefined && writers.get(last) === writers.get(next) && writers.get(last) !== transaction;
      if (half) found.push(`intermediate read: ${where}, ${next} is of the same transaction as ${last}`);
      const before = seen.get(step.key) ?? String(foreign);
      if (before !== String(foreign)) found.push(`non-repeatable read: ${where}, before it was [${before}]`);
      seen.set(step.key, String(foreign));
    }
  }
  return found;
}

type Edges = ReadonlyMap<AppendTransaction, ReadonlySet<AppendTransaction>>;

interface Graph {
  /** a → b: b read or replaced what a wrote. */
  readonly depends: Edges;
  /** a → b: b replaced what a read. */
  readonly anti: Edges;
}

function graphOf({ transactions, final }: AppendHistory): Graph {
  const depends = new Map<AppendTransaction, Set<AppendTransaction>>();
  const anti = new Map<AppendTransaction, Set<AppendTransaction>>();
  const add = (edges: typeof depends, from: AppendTransaction | undefined, to: AppendTransaction | undefined): void => {
    if (from === undefined || to === undefined || from === to) return;
    edges.set(from, (edges.get(from) ?? new Set()).add(to));
  };
  const writers = writersOf(transactions);
  const writer = (id: number | undefined): AppendTransaction | undefined => (id === undefined ? undefined : writers.get(id));
  for (const list of final.values())
    for (const [index, id] of list.entries()) if (index > 0) add(depends, writer(list[index - 1]), writer(id));
  for (const transaction of transactions) {
    if (transaction.outcome === 'aborted') continue;
    for (const step of transaction.steps) {
      if (step.kind !== 'read') continue;
      const foreign = step.ids.filter((id) => writer(id) !== transaction);
      add(depends, writer(foreign.at(-1)), transaction);
      const later = (final.get(step.key) ?? []).slice(foreign.length).find((id) => writer(id) !== transaction);
      add(anti, transaction, writer(later));
    }
  }
  return { depends, anti };
}

function cycleViolations(history: AppendHistory): readonly string[] {
  const { depends, anti } = graphOf(history);
  const next = (from: AppendTransaction): readonly AppendTransaction[] =>
    [...(depends.get(from) ?? [])].flatMap((middle) => [middle, ...(anti.get(middle) ?? [])]);
  const state = new Map<AppendTransaction, 'entered' | 'left'>();
  const path: AppendTransaction[] = [];
  const visit = (at: AppendTransaction): string | undefined => {
    if (state.get(at) === 'left') return undefined;
    if (state.get(at) === 'entered') return [...path.slice(path.indexOf(at)), at].map(({ name }) => name).join(' → ');
    state.set(at, 'entered');
    path.push(at);
    for (const to of next(at)) {
      const cycle = visit(to);
      if (cycle !== undefined) return cycle;
    }
    path.pop();
    state.set(at, 'left');
    return undefined;
  };
  for (const transaction of history.transactions) {
    const cycle = visit(transaction);
    if (cycle !== undefined) return [`no order of snapshots explains the cycle ${cycle}`];
  }
  return [];
}

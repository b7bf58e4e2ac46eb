import { deepStrictEqual } from 'node:assert';

/** A row of the model: what the last operation wrote, and how often the row was counted up since its insert. */
export interface ModelRow {
  readonly v: number;
  readonly n: number;
}

/** One partition at one point of its commit order. */
export interface ModelState {
  readonly exists: boolean;
  readonly rows: ReadonlyMap<string, ModelRow>;
}

/**
 * What a statement is about. `mark` is unique in the program; writes leave it in the column `v`. A `fill` inserts the keys that are not there,
 * an `upsert` counts up those that are. Writes `returning` answer with their rows.
 */
export type Operation = { readonly mark: number; readonly returning?: boolean } & (
  | { readonly kind: 'insert' | 'fill' | 'upsert'; readonly keys: readonly string[] }
  | { readonly kind: 'count'; readonly key: string }
  | { readonly kind: 'sweep'; readonly from: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'read' }
  | { readonly kind: 'drop' }
);

/** What it answered. */
export type Answer =
  | { readonly kind: 'count'; readonly count: number }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly unknown[])[] }
  | { readonly kind: 'error'; readonly code: string };

/** A statement with its answer. */
export interface Answered {
  readonly operation: Operation;
  readonly answer: Answer;
}

/** One change as an observer of the commit order saw it. */
export interface Observed {
  readonly change: 'insert' | 'update' | 'delete';
  readonly key: string;
  /** Of inserts and updates. */
  readonly row: ModelRow | undefined;
}

/** The changes that one statement made, in the order of commits. */
interface Effect {
  readonly mark: number;
  readonly changes: Observed[];
}

/** What happened to one partition while several sessions ran at once. */
export interface Round {
  readonly start: ModelState;
  readonly observed: readonly Observed[];
  /** Per session, in the order it ran them. */
  readonly sessions: readonly (readonly Answered[])[];
}

/**
 * Checks that there is one order of all statements that explains every answer: writes in the order in which their commits
 * were observed, each session's statements in its own order, and each read, refusal and statement without effect at some
 * point between. Returns the state at the end; throws what does not fit.
 */
export function checkRound(round: Round): ModelState {
  const answered = new Map(round.sessions.flat().map((entry) => [entry.operation.mark, entry]));
  const effects = effectsOf(round);
  const states = [round.start];
  for (const effect of effects) {
    const entry = answered.get(effect.mark);
    if (entry === undefined) throw new Error(`nobody ran what was observed: ${JSON.stringify(effect)}`);
    states.push(apply(states.at(-1) ?? round.start, effect, entry));
  }
  const dropped = round.sessions.flat().some(({ operation, answer }) => operation.kind === 'drop' && answer.kind === 'count');
  if (dropped) states.push({ exists: false, rows: new Map() });
  const places = new Map(effects.map(({ mark }, place) => [mark, place]));
  for (const session of round.sessions) checkSession(session, states, places);
  for (const entry of answered.values()) if (entry.operation.kind === 'sweep') checkSweep(entry, effects, round.start);
  return states.at(-1) ?? round.start;
}

/** Rows that a write has written, or told of; `undefined` when it was refused. */
export function countOf(answer: Answer): number | undefined {
  return answer.kind === 'error' ? undefined : answer.kind === 'count' ? answer.count : answer.rows.length;
}

/** Groups the observed changes by statement; a statement's changes must be together, for a commit is seen whole. */
function effectsOf({ observed, sessions }: Round): readonly Effect[] {
  const deletes = new Map<string, number>();
  for (const { operation, answer } of sessions.flat()) {
    if (operation.kind === 'delete' && (countOf(answer) ?? 0) > 0) deletes.set(operation.key, operation.mark);
  }
  const effects: Effect[] = [];
  const seen = new Set<number>();
  for (const change of observed) {
    const mark = change.row?.v ?? deletes.get(change.key);
    if (mark === undefined) throw new Error(`a delete of ${change.key} that no statement reported`);
    const last = effects.at(-1);
    if (last?.mark === mark) last.changes.push(change);
    else if (seen.has(mark)) throw new Error(`the commit of ${mark} was seen in pieces`);
    else effects.push({ mark, changes: [change] });
    seen.add(mark);
  }
  return effects;
}

function apply(state: ModelState, { changes }: Effect, { operation, answer }: Answered): ModelState {
  deepStrictEqual(countOf(answer), changes.length, JSON.stringify(operation));
  deepStrictEqual(answer.kind, operation.returning === true ? 'rows' : 'count', JSON.stringify(operation));
  const rows = new Map(state.rows);
  const returned: (readonly unknown[])[] = [];
  for (const { change, key, row } of changes) {
    const before = rows.get(key);
    if (change === 'delete') {
      if (before === undefined) throw new Error(`${key} was deleted twice`);
      rows.delete(key);
      returned.push([key, before.v, before.n]);
      continue;
    }
    if ((change === 'insert') !== (before === undefined)) throw new Error(`${change} of ${key}, before ${before?.v}`);
    const expected = { v: operation.mark, n: nextCount(operation, key, before) };
    deepStrictEqual(row, expected, `${change} of ${key}`);
    rows.set(key, expected);
    returned.push([key, expected.v, expected.n]);
  }
  if (answer.kind === 'rows') deepStrictEqual(byKey(answer.rows), byKey(returned), JSON.stringify(operation));
  if ('keys' in operation) {
    const spared = operation.kind === 'fill' ? operation.keys.filter((key) => state.rows.has(key)) : [];
    deepStrictEqual([...changes.map(({ key }) => key), ...spared].sort(), [...operation.keys].sort());
  }
  return { exists: true, rows };
}

function byKey(rows: readonly (readonly unknown[])[]): readonly (readonly unknown[])[] {
  return [...rows].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

/** The column `n` after the operation; throws when it cannot have touched the row. */
function nextCount(operation: Operation, key: string, before: ModelRow | undefined): number {
  const inserts = operation.kind === 'insert' || operation.kind === 'fill';
  if (operation.kind === 'upsert') return before === undefined ? 0 : before.n + 1;
  if (inserts !== (before === undefined)) throw new Error(`${operation.kind} of ${key}, before ${before?.v}`);
  if (operation.kind === 'sweep' && key < operation.from) throw new Error(`${key} is not what the sweep asked for`);
  return operation.kind === 'count' ? (before?.n ?? 0) + 1 : (before?.n ?? 0);
}

/** Walks through a session's statements; each comes after those before it. */
function checkSession(session: readonly Answered[], states: readonly ModelState[], places: ReadonlyMap<number, number>): void {
  let at = 0;
  for (const entry of session) {
    const place = places.get(entry.operation.mark);
    if (place !== undefined) {
      if (place < at) throw new Error(`${JSON.stringify(entry)} took effect before what its session ran earlier`);
      at = place + 1;
      continue;
    }
    while (at < states.length && !explains(states[at], entry)) at++;
    if (at === states.length) throw new Error(`no state explains ${JSON.stringify(entry)}`);
  }
}

/** Whether a statement that changed nothing may answer so in this state. */
function explains(state: ModelState | undefined, { operation, answer }: Answered): boolean {
  if (state === undefined) return false;
  if (answer.kind === 'error' && answer.code === 'TABLE_NOT_FOUND') return !state.exists;
  if (operation.kind === 'drop') return answer.kind === 'error' ? answer.code === 'TABLE_MISSING' && !state.exists : !state.exists;
  if (!state.exists) return false;
  switch (operation.kind) {
    case 'insert':
      return answer.kind === 'error' && answer.code === 'DUPLICATE_KEY' && operation.keys.some((key) => state.rows.has(key));
    case 'fill':
      return countOf(answer) === 0 && operation.keys.every((key) => state.rows.has(key));
    case 'upsert':
      return false;
    case 'count':
    case 'delete':
      return countOf(answer) === 0 && !state.rows.has(operation.key);
    case 'sweep':
      return countOf(answer) === 0;
    case 'read': {
      const rows = [...state.rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, { v, n }]) => [key, v, n]);
      return answer.kind === 'rows' && JSON.stringify(answer.rows) === JSON.stringify(rows);
    }
    default:
      return operation satisfies never;
  }
}

/** A sweep finds its rows before its turn: those that were there all the time must be among them. */
function checkSweep({ operation, answer }: Answered, effects: readonly Effect[], start: ModelState): void {
  if (operation.kind !== 'sweep' || answer.kind === 'error') return;
  const swept = new Set(effects.find(({ mark }) => mark === operation.mark)?.changes.map(({ key }) => key));
  const deleted = new Set(effects.flatMap(({ changes }) => changes.filter(({ change }) => change === 'delete').map(({ key }) => key)));
  for (const key of start.rows.keys()) {
    if (key >= operation.from && !deleted.has(key) && !swept.has(key)) throw new Error(`the sweep ${operation.mark} missed ${key}`);
  }
}

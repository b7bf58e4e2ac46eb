import type { SeededRandom } from '@kalamdb/testing';
import type { KilledRow, Ledger, Place, PlannedCommit, RowName } from './ledger.ts';

/** Rows of a single-row writer. */
const SINGLE_KEYS = 8;
/** Rows that a block may have. */
const BLOCK_ROWS_MAX = 50;
/** Distance between the keys of two writers. */
const KEYS_PER_WRITER = 100;
/** Every so many commits writes long rows, so that the log's writes take longer. */
const WIDE_EVERY = 7;

/** What one writer sends next. */
export interface Plan {
  readonly label: string;
  readonly sql: string;
  readonly commit: PlannedCommit;
  /** Whether it is carried out: always, never (the error contains the text), unless it loses a race, or it is taken back. */
  readonly outcome: 'done' | 'lost race' | 'rolled back' | { readonly refused: string };
}

/** What a writer plans with. */
export interface Planning {
  readonly random: SeededRandom;
  readonly ledger: Ledger;
  /** A number that no commit has had. */
  readonly commit: number;
}

/** One of the concurrent writers: it sends one request after another about rows of its own, and the row that all count up. */
export interface Writer {
  readonly name: string;
  readonly user: string;
  plan(planning: Planning): Plan;
}

/** A table as a writer's user reaches it. */
interface Target {
  readonly place: Place;
  readonly table: string;
}

const ITEMS: Target = { place: 'items', table: 'kill.items' };
const notesOf = (user: string): Target => ({ place: `notes of ${user}`, table: 'kill.notes' });

/** The text column follows from the commit, so that a row of two commits shows. */
export const textOf = (commit: number): string => String(commit).repeat(commit % WIDE_EVERY === 0 ? 600 : 2);

const nameOf = ({ place }: Target, id: number): RowName => `${place}/${id}`;
const firstKey = (number: number): number => number * KEYS_PER_WRITER;

/** The writer whose rows a key belongs to. */
export const writerOf = (id: number): number => Math.floor(id / KEYS_PER_WRITER);

const insertText = (table: string, ids: readonly number[], { commit, count, block }: KilledRow): string =>
  `INSERT INTO ${table} (id, c, n, block, v) VALUES ${ids.map((id) => `(${id}, ${commit}, ${count}, ${block}, '${textOf(commit)}')`).join(', ')}`;

/** Inserts, changes and deletes one row at a time, inserts what is there already, and counts the shared row up. */
export function singleWriter(number: number, user: string): Writer {
  const items = number % 2 === 0;
  const target = items ? ITEMS : notesOf(user);
  return {
    name: `single ${items ? 'shared' : 'user'}`,
    user,
    plan: ({ random, ledger, commit }) => {
      const id = firstKey(number) + 1 + random.integer(SINGLE_KEYS);
      const name = nameOf(target, id);
      const row = ledger.row(name);
      const planned = (after: KilledRow | undefined, bumps = false): PlannedCommit => ({
        id: commit,
        changes: new Map([[name, after]]),
        bumps,
      });
      const fresh: KilledRow = { commit, count: 0, block: 1 };
      const insert = insertText(target.table, [id], fresh);
      if (row === undefined) return { label: 'insert', sql: insert, commit: planned(fresh), outcome: 'done' };
      const dice = random.integer(10);
      if (dice === 0) return { label: 'duplicate', sql: insert, commit: planned(fresh), outcome: { refused: 'primary key' } };
      if (dice < 3)
        return { label: 'delete', sql: `DELETE FROM ${target.table} WHERE id = ${id}`, commit: planned(undefined), outcome: 'done' };
      const changed = { ...row, commit, count: row.count + 1 };
      const bumps = items && dice < 7;
      const where = bumps ? `id IN (0, ${id})` : `id = ${id}`;
      const sql = `UPDATE ${target.table} SET n = n + 1, c = ${commit}, v = '${textOf(commit)}' WHERE ${where}`;
      return { label: bumps ? 'bump' : 'update', sql, commit: planned(changed, bumps), outcome: 'done' };
    },
  };
}

/** A statement about a whole block: it appears, changes or disappears as one. */
interface BlockStep {
  readonly label: string;
  readonly sql: string;
  readonly changes: ReadonlyMap<RowName, KilledRow | undefined>;
}

function blockStep(
  target: Target,
  number: number,
  { random, ledger, commit, deletes }: Planning & { readonly deletes: boolean },
): BlockStep {
  const first = firstKey(number) + 1;
  const size = ledger.row(nameOf(target, first))?.block ?? 0;
  const idsOf = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => first + index);
  const changesOf = (count: number, row: KilledRow | undefined): BlockStep['changes'] =>
    new Map(idsOf(count).map((id) => [nameOf(target, id), row]));
  if (size === 0) {
    const row: KilledRow = { commit, count: 0, block: 2 + random.integer(BLOCK_ROWS_MAX - 1) };
    return { label: 'insert', sql: insertText(target.table, idsOf(row.block), row), changes: changesOf(row.block, row) };
  }
  const where = `WHERE id BETWEEN ${first} AND ${first + BLOCK_ROWS_MAX}`;
  if (deletes) return { label: 'delete', sql: `DELETE FROM ${target.table} ${where}`, changes: changesOf(size, undefined) };
  const sql = `UPDATE ${target.table} SET c = ${commit}, n = 1, v = '${textOf(commit)}' ${where}`;
  return { label: 'update', sql, changes: changesOf(size, { commit, count: 1, block: size }) };
}

/** An INSERT of several rows the last of which is there already; `undefined` when the block is not there. */
function refusedInsert(target: Target, number: number, { ledger, commit }: Planning): string | undefined {
  const first = firstKey(number) + 1;
  if (ledger.row(nameOf(target, first)) === undefined) return undefined;
  const free = [1, 2, 3].map((offset) => first + BLOCK_ROWS_MAX + offset);
  return insertText(target.table, [...free, first], { commit, count: 0, block: 4 });
}

/** Writes a block of rows per statement. */
export function blockWriter(number: number, user: string): Writer {
  const items = number % 2 === 0;
  const target = items ? ITEMS : notesOf(user);
  return {
    name: `block ${items ? 'shared' : 'user'}`,
    user,
    plan: (planning) => {
      const { commit, random } = planning;
      const { label, sql, changes } = blockStep(target, number, { ...planning, deletes: random.integer(3) === 0 });
      const planned: PlannedCommit = { id: commit, changes, bumps: false };
      const refused = random.integer(6) === 0 ? refusedInsert(target, number, planning) : undefined;
      if (refused === undefined) return { label, sql, commit: planned, outcome: 'done' };
      return { label: 'duplicate', sql: refused, commit: planned, outcome: { refused: 'primary key' } };
    },
  };
}

/** Writes a block in both tables per transaction; some count the shared row up, some fail inside, some are rolled back. */
export function transactionWriter(number: number, user: string): Writer {
  return {
    name: 'transaction',
    user,
    plan: (planning) => {
      const { commit, random } = planning;
      const deletes = random.integer(3) === 0;
      const steps = [ITEMS, notesOf(user)].map((target) => blockStep(target, number, { ...planning, deletes }));
      // After a DELETE of the block its keys would be free.
      const isTaken = steps[0]?.label !== 'delete';
      const refused = isTaken && random.integer(4) === 0 ? refusedInsert(ITEMS, number, planning) : undefined;
      const bumps = refused === undefined && random.integer(4) === 0;
      const rollsBack = random.integer(6) === 0;
      const texts = [
        'BEGIN',
        ...steps.map(({ sql }) => sql),
        ...(bumps ? [`UPDATE kill.items SET n = n + 1, c = ${commit} WHERE id = 0`] : []),
        ...(refused === undefined ? [] : [refused]),
        rollsBack ? 'ROLLBACK' : 'COMMIT',
      ];
      const outcome: Plan['outcome'] =
        refused !== undefined ? { refused: 'primary key' } : rollsBack ? 'rolled back' : bumps ? 'lost race' : 'done';
      const label = refused !== undefined ? 'failed' : rollsBack ? 'rollback' : bumps ? 'commit with bump' : 'commit';
      const changes = new Map(steps.flatMap((step) => [...step.changes]));
      return { label, sql: texts.join('; '), commit: { id: commit, changes, bumps }, outcome };
    },
  };
}

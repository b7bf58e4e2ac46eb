import { SeededRandom } from '@kalamdb/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ALICE, BackupWorld } from './backup-world.fixture.ts';
import { longRun } from './long-run.fixture.ts';
import { ROOT } from './statement-world.fixture.ts';

const KEYS = 40;
/** Writes to a table, so that a failure does not let them go on for ever. */
const WRITES_MAX = 3000;

let world: BackupWorld;
beforeEach(async () => {
  world = await BackupWorld.make();
});
afterEach(() => world.remove());

type State = ReadonlyMap<number, string>;

/** What a table held from each of its commits on. */
class History {
  readonly #states: { readonly seq: bigint; readonly state: State }[] = [{ seq: 0n, state: new Map() }];

  get newest(): State {
    return this.#states.at(-1)?.state ?? new Map();
  }

  add(seq: bigint, state: State): void {
    this.#states.push({ seq, state });
  }

  at(seq: bigint): State {
    return this.#states.findLast((found) => found.seq <= seq)?.state ?? new Map();
  }
}

/** Writes to one table until it is told to stop, and knows what the table held at each commit. */
const write = async (table: string, random: SeededRandom, isOver: () => boolean): Promise<History> => {
  const principal = table === 'app.notes' ? ALICE : ROOT;
  const history = new History();
  for (let n = 0; !isOver() && n < WRITES_MAX; n++) {
    const id = random.integer(KEYS);
    const state = new Map(history.newest);
    const text = `v${n}`;
    if (!state.has(id)) await world.run(`INSERT INTO ${table} (id, txt) VALUES (${id}, '${text}')`, principal);
    else if (random.integer(3) > 0) await world.run(`UPDATE ${table} SET txt = '${text}' WHERE id = ${id}`, principal);
    else await world.run(`DELETE FROM ${table} WHERE id = ${id}`, principal);
    const seqOf = async (condition: string): Promise<bigint | undefined> =>
      ((await world.run(`SELECT _seq FROM ${table} WHERE id = ${id}${condition}`, principal)) as (readonly bigint[])[])[0]?.[0];
    const live = await seqOf('');
    if (live === undefined) state.delete(id);
    else state.set(id, text);
    const seq = live ?? (await seqOf(' AND _deleted = true'));
    expect(seq).toBeDefined();
    history.add(seq ?? 0n, state);
  }
  return history;
};

const readState = async (table: string): Promise<State> => {
  const rows = (await world.run(`SELECT id, txt FROM ${table}`, table === 'app.notes' ? ALICE : ROOT)) as (readonly [number, string])[];
  return new Map(rows.map(([id, text]) => [Number(id), text]));
};

const sorted = (state: State): unknown => [...state].sort(([a], [b]) => a - b);

const long = longRun();
const seeds = long?.seeds ?? [1];

it.each(seeds)('a backup under writes and flushes holds exactly what there was at its commit (%i)', async (seed) => {
  const random = new SeededRandom(seed);
  await world.open();
  await world.run("CREATE NAMESPACE app; CREATE USER 'alice' WITH PASSWORD 'Alice-Secret-1' ROLE user");
  await world.run("CREATE TABLE app.shared (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='public')");
  await world.run("CREATE TABLE app.notes (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='USER')");
  let over = false;
  const writing = ['app.shared', 'app.notes'].map((table, index) => write(table, new SeededRandom(seed * 10 + index), () => over));
  const flushing = (async () => {
    while (!over) {
      if (random.integer(2) === 0) await world.flush('shared');
      else await world.flush('notes', 'alice');
      await new Promise((resolve) => setTimeout(resolve, random.integer(30)));
    }
  })();
  flushing.catch(() => undefined); // looked at below
  const seqs = new Map<string, bigint>();
  try {
    for (let n = 0; n < 3; n++) {
      await new Promise((resolve) => setTimeout(resolve, random.integer(150)));
      const place = world.path(n === 2 ? 'b0' : `b${n}`);
      expect(await world.job(`BACKUP DATABASE TO '${place}'${n === 2 ? ' MODE INCREMENTAL' : ''}`)).toMatchObject({ status: 'completed' });
      const [row = []] = (await world.run(`SHOW BACKUP '${place}'`)) as (readonly unknown[])[];
      seqs.set(place, row[3] as bigint);
    }
  } finally {
    over = true;
  }
  const [shared, notes] = await Promise.all(writing);
  await flushing;
  await world.close();
  let restored = 0;
  for (const [place, seq] of seqs) {
    const name = `restored-${restored++}`;
    await world.restore(place, name);
    await world.open(name);
    expect(sorted(await readState('app.shared'))).toEqual(sorted(shared?.at(seq) ?? new Map()));
    expect(sorted(await readState('app.notes'))).toEqual(sorted(notes?.at(seq) ?? new Map()));
  }
  expect([...seqs.values()].some((seq) => (shared?.at(seq).size ?? 0) > 0)).toBe(true);
  long?.report({ 'backups restored': restored });
});

import type { SeededRandom } from '@kalamdb/testing';
import type { Place } from './places.ts';
import { CELL_VALUES } from './row-filter.ts';

/** Characters of a long body; they do not shrink when they are compressed. */
const LONG_BODY_CHARS = 24_000;
/** One body in so many is long. */
const LONG_EVERY = 40;

/** The rows of one partition that one writer writes, and nobody else. */
export interface Target {
  readonly place: Place;
  /** In ascending order. */
  readonly keys: readonly string[];
}

/** A random statement that changes rows of a target. */
export interface WriteStatement {
  readonly label: string;
  readonly sql: string;
}

const literal = (value: unknown): string =>
  value === null || value === undefined ? 'NULL' : typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);

/** The condition that names exactly the rows of a target. */
export function rangeOf({ place, keys }: Target): string {
  return `id BETWEEN ${keyLiteral(place, keys[0] ?? '')} AND ${keyLiteral(place, keys.at(-1) ?? '')}`;
}

export function keyLiteral({ table }: Place, key: string): string {
  return table.keyType === 'TEXT' ? literal(key) : key;
}

/** Draws a statement; `number` is written into its rows. */
export function nextStatement(random: SeededRandom, target: Target, number: number): WriteStatement {
  const kinds =
    target.place.table.kind === 'stream' ? [emit, emit, emit, remove] : [insert, insert, upsert, upsert, update, update, remove];
  return random.pick(kinds)(random, target, number);
}

/** Gives every row of a target a long body; `bodies` by key. */
export function longRows(
  random: SeededRandom,
  target: Target,
  number: number,
): WriteStatement & { readonly bodies: ReadonlyMap<string, string> } {
  const bodies = new Map(target.keys.map((key) => [key, longBody(random)]));
  const rows = [...bodies].map(([key, body]) => values(random, target, { key, number, body }));
  const into = `INSERT INTO ${target.place.table.name} ${INTO} VALUES ${rows.join(', ')}`;
  return { label: 'long rows', sql: `${into} ON CONFLICT (id) DO UPDATE SET body = excluded.body, w = ${number}`, bodies };
}

const longBody = (random: SeededRandom): string => Buffer.from(random.bytes(LONG_BODY_CHARS / 2)).toString('hex');

const bodyOf = (random: SeededRandom): string | null =>
  random.integer(LONG_EVERY) === 0 ? longBody(random) : random.pick([null, 'short', '']);

const draw = (random: SeededRandom, name: keyof typeof CELL_VALUES): string => {
  const value = random.pick<unknown>(CELL_VALUES[name]);
  return name === 'big' && value !== null ? String(value) : literal(value);
};

interface NewRow {
  readonly key: string;
  readonly number: number;
  readonly body: string | null;
}

const values = (random: SeededRandom, { place }: Target, { key, number, body }: NewRow): string =>
  `(${[
    keyLiteral(place, key),
    ...(['n', 'big', 'f', 'txt', 'flag', 'doc'] as const).map((name) => draw(random, name)),
    literal(body),
    number,
  ].join(', ')})`;

const INTO = '(id, n, big, f, txt, flag, doc, body, w)';

const isThere = ({ place }: Target, key: string): boolean => {
  const newest = place.history.newest(key);
  return newest !== undefined && !newest.deleted && !place.history.isGone(newest.seq);
};

/** Up to five keys, each once. */
function someKeys(random: SeededRandom, keys: readonly string[]): readonly string[] {
  const count = random.pick([1, 1, 1, 2, 5]);
  return [...new Set(Array.from({ length: count }, () => random.pick(keys)))];
}

function insert(random: SeededRandom, target: Target, number: number): WriteStatement {
  const free = target.keys.filter((key) => !isThere(target, key));
  if (free.length === 0) return remove(random, target, number);
  const rows = someKeys(random, free).map((key) => values(random, target, { key, number, body: bodyOf(random) }));
  return { label: 'insert', sql: `INSERT INTO ${target.place.table.name} ${INTO} VALUES ${rows.join(', ')}` };
}

function emit(random: SeededRandom, target: Target, number: number): WriteStatement {
  return { ...insert(random, target, number), label: 'event' };
}

function upsert(random: SeededRandom, target: Target, number: number): WriteStatement {
  const rows = someKeys(random, target.keys).map((key) => values(random, target, { key, number, body: bodyOf(random) }));
  const into = `INSERT INTO ${target.place.table.name} ${INTO} VALUES ${rows.join(', ')}`;
  return { label: 'upsert', sql: `${into} ON CONFLICT (id) DO UPDATE SET n = excluded.n, flag = excluded.flag, w = ${number}` };
}

function update(random: SeededRandom, target: Target, number: number): WriteStatement {
  const { place, keys } = target;
  const { passing } = place.table;
  const changes = [
    `n = ${draw(random, 'n')}`,
    `txt = ${draw(random, 'txt')}, doc = ${draw(random, 'doc')}`,
    `f = ${draw(random, 'f')}, big = ${draw(random, 'big')}, n = NULL`,
    'n = n + 1',
    'flag = NOT flag',
    `body = ${literal(bodyOf(random))}`,
    ...(passing === undefined ? [] : [`${passing} = 'passing ${number}'`]),
  ];
  const wheres = [
    `id = ${keyLiteral(place, random.pick(keys))}`,
    `id IN (${someKeys(random, keys).map((key) => keyLiteral(place, key))})`,
    `${rangeOf(target)} AND n < 5`,
    `${rangeOf(target)} AND flag`,
  ];
  return {
    label: 'update',
    sql: `UPDATE ${place.table.name} SET ${random.pick(changes)}, w = ${number} WHERE ${random.pick(wheres)}`,
  };
}

function remove(random: SeededRandom, target: Target, _number: number): WriteStatement {
  const { place, keys } = target;
  const many = place.table.kind !== 'stream' && random.integer(6) === 0;
  const which = many ? `${rangeOf(target)} AND n = ${random.integer(9)}` : `id = ${keyLiteral(place, random.pick(keys))}`;
  return { label: 'delete', sql: `DELETE FROM ${place.table.name} WHERE ${which}` };
}

import { Buffer } from 'node:buffer';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase, type Principal } from '@kalamdb/engine';
import { systemTimers, type Timers } from '@kalamdb/protocol';
import { type Inode, patched, RecordedDisk } from '../faults/recorded-disk.ts';
import { type DatabaseDump, differences, dumpCatalog, dumpRows } from '../grammar/database-dump.ts';
import { CATALOG_CHANGES } from './catalog-changes.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
/** Users whose rows are looked at. */
const OWNERS = ['root', 'kim'] as const;
const LOG_FILE_BYTES = 65_536;
/** How long the hot tier may take to stand at the end of the log. */
const SETTLE_MILLIS_MAX = 10_000;
/** Nothing was committed for so long: what a statement has set off is over. */
const QUIET_MILLIS = 30;
/** Housekeeping must not change anything between two looks. */
const UNREPEATED: Timers = { ...systemTimers, every: () => ({ cancel: () => undefined }) };

/** What was tried. */
export interface CatalogKillReport {
  readonly statements: number;
  /** States of the disk that were opened. */
  readonly images: number;
  /** How many of them held the state before the statement, and after it. */
  readonly before: number;
  readonly after: number;
  readonly problems: readonly string[];
}

/** A disk at one moment: the files that the database writes itself, and a copy of the hot tier. */
interface Image {
  readonly what: string;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly hot: string;
  /** The statement had its answer. */
  readonly answered: boolean;
}

/**
 * Runs every change of the catalog, and opens what a kill in any storage write of it and between any two leaves while the hot tier does
 * not have it yet; and what there is when the hot tier has it.
 */
export async function killCatalogChanges(): Promise<CatalogKillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-catalog-kills-'));
  try {
    return await new Run(folder).play();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Run {
  readonly #folder: string;
  readonly #counts = { images: 0, before: 0, after: 0 };
  readonly #problems: string[] = [];
  #opened = 0;
  #files: ReadonlyMap<string, Buffer> = new Map();
  #hot: string | undefined;
  /** The state that the next statement begins with, unless more is given. */
  #after: DatabaseDump | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async play(): Promise<CatalogKillReport> {
    for (const { sql, given = [] } of CATALOG_CHANGES) await this.#kill(sql, given);
    return { statements: CATALOG_CHANGES.length, ...this.#counts, problems: this.#problems };
  }

  async #kill(sql: string, given: readonly string[]): Promise<void> {
    const { database, disk, directory } = await this.#open(this.#files, this.#hot);
    const differs = this.#after === undefined ? [] : differences(this.#after, await stateOf(database));
    if (differs.length > 0) this.#problems.push(`before ${sql}: after an orderly end ${differs.join(', ')} are not as they were`);
    for (const text of given) await database.session(ROOT).execute(text);
    await settled(database);
    const before = await stateOf(database);
    const hotBefore = this.#copyHot(directory);
    const from = disk.events.length;
    await database.session(ROOT).execute(sql);
    const to = disk.events.length;
    await settled(database);
    const after = await stateOf(database);
    const images = [...imagesOf(disk, { from, to, hot: hotBefore })];
    if (images.length === 0) this.#problems.push(`${sql}: wrote nothing`);
    await database.close();
    this.#files = disk.files();
    this.#hot = this.#copyHot(directory);
    this.#after = after;
    if (differences(before, after).length === 0) this.#problems.push(`${sql}: changed nothing`);
    for (const image of images) await this.#check(sql, image, { before, after });
    rmSync(directory, { recursive: true, force: true });
  }

  async #check(
    sql: string,
    image: Image,
    { before, after }: { readonly before: DatabaseDump; readonly after: DatabaseDump },
  ): Promise<void> {
    this.#counts.images += 1;
    const { database, directory } = await this.#open(image.files, image.hot);
    const found = await stateOf(database);
    await database.close();
    rmSync(directory, { recursive: true, force: true });
    const fromBefore = differences(before, found);
    const fromAfter = differences(after, found);
    if (fromBefore.length === 0) this.#counts.before += 1;
    if (fromAfter.length === 0) this.#counts.after += 1;
    if (image.answered && fromAfter.length > 0)
      this.#problems.push(`${sql}: ${image.what}, answered: ${fromAfter.join(', ')} are not as after it`);
    if (fromBefore.length > 0 && fromAfter.length > 0) {
      this.#problems.push(`${sql}: ${image.what}: a third state (before: ${fromBefore.join(', ')}; after: ${fromAfter.join(', ')})`);
    }
  }

  /** Opens the files at a place of their own, without the lock of the process that was killed. */
  async #open(
    files: ReadonlyMap<string, Buffer>,
    hot: string | undefined,
  ): Promise<{ readonly database: Database; readonly disk: RecordedDisk; readonly directory: string }> {
    this.#opened += 1;
    const directory = join(this.#folder, `d${this.#opened}`);
    mkdirSync(directory);
    if (hot !== undefined) cpSync(hot, join(directory, 'hot'), { recursive: true });
    const place = /^.*?\/d\d+\//;
    const moved = [...files]
      .filter(([path]) => !path.includes('/LOCK-'))
      .map(([path, content]) => [path.replace(place, `${directory}/`), content] as const);
    const disk = new RecordedDisk(new Map(moved));
    const database = await openDatabase({
      directory,
      durability: 'sync',
      files: disk,
      timers: UNREPEATED,
      logFileBytes: LOG_FILE_BYTES,
      rootPassword: 'catalog-kill-password',
      passwordCost: { memoryKib: 64, iterations: 1 },
    });
    return { database, disk, directory };
  }

  #copyHot(directory: string): string {
    const copy = join(this.#folder, `hot${this.#opened}-${this.#counts.images}-${Math.floor(performance.now() * 1000)}`);
    cpSync(join(directory, 'hot'), copy, { recursive: true });
    return copy;
  }
}

async function stateOf(database: Database): Promise<DatabaseDump> {
  return new Map([...(await dumpCatalog(database)), ...(await dumpRows(database, OWNERS))]);
}

/** Resolves when the hot tier holds everything and nothing more is committed. */
async function settled(database: Database): Promise<void> {
  const end = performance.now() + SETTLE_MILLIS_MAX;
  let quietSince = performance.now();
  let last = database.status().watermark;
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    const { watermark, appliedSeq } = database.status();
    if (watermark !== last || appliedSeq < watermark) quietSince = performance.now();
    last = watermark;
    if (performance.now() - quietSince > QUIET_MILLIS) return;
  }
  throw new Error('the hot tier does not come to the end of the log');
}

/** What a kill leaves in the middle of each write and after each event that changes anything, also of what the statement set off. */
function* imagesOf(
  disk: RecordedDisk,
  { from, to, hot }: { readonly from: number; readonly to: number; readonly hot: string },
): Iterable<Image> {
  const changes = disk.events.flatMap(({ kind }, index) => (index >= from && (kind === 'write' || kind === 'names') ? [index] : []));
  const lastOfStatement = changes.findLast((index) => index < to) ?? from;
  for (const index of changes) {
    const event = disk.events[index];
    const what = `event ${index - from + 1} of ${disk.events.length - from}`;
    if (event?.kind === 'write') {
      yield { what: `within ${what}`, files: filesAt(disk, index, event.bytes.length >> 1), hot, answered: index > lastOfStatement };
    }
    yield { what: `after ${what}`, files: filesAt(disk, index + 1, 0), hot, answered: index >= lastOfStatement };
  }
}

/** The files after the first `count` events and `torn` bytes of the next, which is a write. */
function filesAt(disk: RecordedDisk, count: number, torn: number): Map<string, Buffer> {
  const contents = new Map<Inode, Buffer>([...disk.startContents].map(([inode, content]) => [inode, Buffer.from(content)]));
  let names = disk.startNames;
  for (const [index, event] of disk.events.slice(0, count + 1).entries()) {
    if (index === count && (torn === 0 || event.kind !== 'write')) break;
    if (event.kind === 'names') names = event.names;
    if (event.kind !== 'write') continue;
    const bytes = index === count ? event.bytes.subarray(0, torn) : event.bytes;
    contents.set(event.inode, patched(contents.get(event.inode) ?? Buffer.alloc(0), event.position, bytes));
  }
  return new Map([...names].map(([path, inode]) => [path, Buffer.from(contents.get(inode) ?? Buffer.alloc(0))]));
}

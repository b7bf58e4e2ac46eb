import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type FileSystem, type OpenFile, type OpenMode, systemFiles } from '@kalamdb/storage';

/**
 * What goes wrong at an operation: the process is gone from there on (and a power cut takes what was not synced), the process is gone in the
 * middle of it, or it is refused once and all is well again.
 */
export type DiskFault = 'kill' | 'power cut' | 'tear' | 'ENOSPC' | 'EIO';

type Kind = 'read' | 'write' | 'log write' | 'other change';

/** Bytes of a file that no sync has brought to the disk. */
interface Unsynced {
  /** What was on the disk before. */
  readonly durable: Buffer;
  readonly writes: { readonly position: number; readonly bytes: Buffer }[];
}

/** A change of names that no sync has brought to the disk. */
interface NameChange {
  readonly folder: string;
  undo(): void;
}

const systemError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

const patch = (content: Buffer, position: number, bytes: Uint8Array): Buffer => {
  const end = position + bytes.length;
  const result = Buffer.concat([content, Buffer.alloc(Math.max(0, end - content.length))]);
  result.set(bytes, position);
  return result;
};

/**
 * The system's files, of which the n-th operation goes wrong. Of what was written and not synced it knows what a power cut would leave. What
 * LMDB and DuckDB do by themselves it does not see.
 */
export class FaultDisk {
  /** Operations so far, and what kind each was since {@link record}. */
  operations = 0;
  readonly files: FileSystem;
  readonly #spare: string;
  #kinds: Kind[] | undefined;
  #fault: { readonly at: number; readonly kind: DiskFault } | undefined;
  #isGone = false;
  #faults = 0;
  readonly #unsynced = new Map<number, Unsynced>();
  #names: NameChange[] = [];
  #kept = 0;

  /** `spare` is a folder on the same disk for what a power cut may have to bring back. */
  constructor(spare: string) {
    this.#spare = spare;
    mkdirSync(spare, { recursive: true });
    const read = <T>(call: () => Promise<T>): Promise<T> => this.#call('read', call);
    const change = <T>(call: () => Promise<T>): Promise<T> => this.#call('other change', call);
    this.files = {
      ...systemFiles,
      open: (path, mode) =>
        isLock(path) ? systemFiles.open(path, mode) : (mode === 'create' ? change : read)(() => this.#open(path, mode)),
      rename: (from, to) => change(() => this.#rename(from, to)),
      link: (from, to) =>
        change(() =>
          this.#noted(
            to,
            () => systemFiles.link(from, to),
            () => rmSync(to, { force: true }),
          ),
        ),
      remove: (path) => (isLock(path) ? systemFiles.remove(path) : change(() => this.#remove(path))),
      removeDirectory: (path) => change(() => systemFiles.removeDirectory(path)),
      makeDirectory: (path) => change(() => systemFiles.makeDirectory(path)),
      syncDirectory: (path) => change(() => this.#syncDirectory(path)),
      list: (path) => read(() => systemFiles.list(path)),
      stat: (path) => read(() => systemFiles.stat(path)),
    };
  }

  /** Whether the fault has happened. */
  get hasFailed(): boolean {
    return this.#faults > 0;
  }

  /** Whether nothing works any more. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** From now on operations are counted from 0 again, and told by {@link recorded}. */
  record(): void {
    this.operations = 0;
    this.#kinds = [];
  }

  /** The operations since {@link record} at which a fault of this kind may happen. */
  recorded(kind: DiskFault): readonly number[] {
    const isWrite = (of: Kind): boolean => of === 'write' || of === 'log write';
    const suits = (of: Kind): boolean => (kind === 'tear' ? isWrite(of) : kind !== 'ENOSPC' || of !== 'read');
    return (this.#kinds ?? []).flatMap((of, at) => (suits(of) ? [at] : []));
  }

  /** The writes of the log since {@link record}. */
  get logWrites(): readonly number[] {
    return (this.#kinds ?? []).flatMap((of, at) => (of === 'log write' ? [at] : []));
  }

  /** The operation so many from here goes wrong. */
  arm(at: number, kind: DiskFault): void {
    this.#fault = { at: this.operations + at, kind };
  }

  /** Nothing goes wrong any more unless it has already. */
  disarm(): void {
    this.#fault = undefined;
  }

  /** The process is gone, wherever it is. */
  end(): void {
    this.#isGone = true;
  }

  /** Takes back what was not synced: all of it, some, or half of a write, as `choose(n)` (a whole number below n) says. */
  cutPower(choose: (below: number) => number): void {
    for (const [, { path, unsynced }] of this.#pathsOfUnsynced()) {
      let content = unsynced.durable;
      for (const { position, bytes } of unsynced.writes) {
        const fate = choose(3);
        if (fate > 0) content = patch(content, position, fate === 1 ? bytes : bytes.subarray(0, bytes.length >> 1));
      }
      writeFileSync(path, content);
    }
    // A journal keeps the order of names: what is lost is an end of it.
    for (let lost = choose(this.#names.length + 1); lost > 0; lost -= 1) this.#names.pop()?.undo();
    this.#unsynced.clear();
    this.#names = [];
  }

  #pathsOfUnsynced(): Map<number, { readonly path: string; readonly unsynced: Unsynced }> {
    const found = new Map<number, { path: string; unsynced: Unsynced }>();
    for (const [ino, unsynced] of this.#unsynced) {
      const path = this.#paths.get(ino);
      if (path !== undefined && inodeOf(path) === ino) found.set(ino, { path, unsynced });
    }
    return found;
  }

  /** Where the files lie that have something unsynced. */
  readonly #paths = new Map<number, string>();

  #call<T>(kind: Kind, call: () => Promise<T>, torn?: () => Promise<unknown>): Promise<T> {
    const at = this.operations;
    this.operations += 1;
    this.#kinds?.push(kind);
    if (this.#isGone) return Promise.reject(systemError('EIO'));
    if (this.#fault?.at !== at) return call();
    this.#faults += 1;
    switch (this.#fault.kind) {
      case 'ENOSPC':
      case 'EIO':
        return Promise.reject(systemError(this.#fault.kind));
      case 'kill':
      case 'power cut':
        this.#isGone = true;
        return Promise.reject(systemError('EIO'));
      case 'tear':
        this.#isGone = true;
        return (torn?.() ?? Promise.resolve()).then(() => Promise.reject(systemError('EIO')));
      default:
        return this.#fault.kind satisfies never;
    }
  }

  async #open(path: string, mode: OpenMode): Promise<OpenFile> {
    const opening = (): Promise<OpenFile> => systemFiles.open(path, mode);
    const file = mode === 'create' ? await this.#noted(path, opening, () => rmSync(path, { force: true })) : await opening();
    const ino = inodeOf(path) ?? 0;
    this.#paths.set(ino, path);
    const through = mode === 'write-synced';
    const write = async (source: Uint8Array, position: number): Promise<number> => {
      if (!through) this.#noteWrite(ino, position, source);
      const count = await file.write(source, position);
      if (through) this.#writtenThrough(ino, position, source);
      return count;
    };
    return {
      read: (target, position) => this.#call('read', () => file.read(target, position)),
      write: (source, position) =>
        this.#call(
          path.includes('/log/') ? 'log write' : 'write',
          () => write(source, position),
          () => write(source.subarray(0, source.length >> 1), position),
        ),
      sync: () =>
        this.#call('other change', async () => {
          const before = this.#unsynced.get(ino)?.writes.length ?? 0;
          await file.sync();
          this.#synced(ino, before);
        }),
      close: () => file.close(),
    };
  }

  #noteWrite(ino: number, position: number, source: Uint8Array): void {
    const path = this.#paths.get(ino);
    if (path === undefined) return;
    let unsynced = this.#unsynced.get(ino);
    if (unsynced === undefined) {
      unsynced = { durable: readFileSync(path), writes: [] };
      this.#unsynced.set(ino, unsynced);
    }
    unsynced.writes.push({ position, bytes: Buffer.from(source) });
  }

  #writtenThrough(ino: number, position: number, source: Uint8Array): void {
    const unsynced = this.#unsynced.get(ino);
    if (unsynced !== undefined) this.#unsynced.set(ino, { durable: patch(unsynced.durable, position, source), writes: unsynced.writes });
  }

  #synced(ino: number, writes: number): void {
    const unsynced = this.#unsynced.get(ino);
    if (unsynced === undefined) return;
    let { durable } = unsynced;
    for (const { position, bytes } of unsynced.writes.slice(0, writes)) durable = patch(durable, position, bytes);
    const rest = unsynced.writes.slice(writes);
    if (rest.length === 0) this.#unsynced.delete(ino);
    else this.#unsynced.set(ino, { durable, writes: rest });
  }

  async #rename(from: string, to: string): Promise<void> {
    const replaced = this.#keep(to);
    const ino = inodeOf(from);
    const undo = (): void => {
      renameSync(to, from);
      if (replaced !== undefined) linkSync(replaced, to);
    };
    await this.#noted(to, () => systemFiles.rename(from, to), undo);
    if (ino !== undefined) this.#paths.set(ino, to);
  }

  async #remove(path: string): Promise<void> {
    const kept = this.#keep(path);
    await this.#noted(
      path,
      () => systemFiles.remove(path),
      () => {
        mkdirSync(dirname(path), { recursive: true });
        if (kept !== undefined) linkSync(kept, path);
      },
    );
  }

  async #syncDirectory(path: string): Promise<void> {
    const before = new Set(this.#names);
    await systemFiles.syncDirectory(path);
    this.#names = this.#names.filter((change) => change.folder !== path || !before.has(change));
  }

  async #noted<T>(path: string, call: () => Promise<T>, undo: () => void): Promise<T> {
    const result = await call();
    this.#names.push({ folder: dirname(path), undo });
    return result;
  }

  /** A second name for a file that is about to lose its own. */
  #keep(path: string): string | undefined {
    if (inodeOf(path) === undefined) return undefined;
    const kept = join(this.#spare, String(this.#kept++));
    linkSync(path, kept);
    return kept;
  }
}

/** The system's own end of a process is what frees a lock. */
function isLock(path: string): boolean {
  return basename(path).startsWith('LOCK-');
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

import { Buffer } from 'node:buffer';
import type { FileSpace, FileStat, FileSystem, OpenFile, OpenMode } from './file-system.ts';

const SECTOR_BYTES = 512;

interface UnsyncedWrite {
  readonly position: number;
  readonly bytes: Buffer;
}

const systemError = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

const patched = (content: Buffer, position: number, bytes: Uint8Array): Buffer => {
  const end = position + bytes.length;
  const result = content.length >= end ? content : Buffer.concat([content, Buffer.alloc(end - content.length)]);
  result.set(bytes, position);
  return result;
};

/** A file's content as programs see it, as it is on the disk, and the difference. */
class Inode {
  content: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  unsynced: UnsyncedWrite[] = [];

  write(position: number, bytes: Uint8Array, synced: boolean): void {
    this.content = patched(this.content, position, bytes);
    if (synced) this.durable = patched(this.durable, position, bytes);
    else this.unsynced.push({ position, bytes: Buffer.from(bytes) });
  }

  sync(): void {
    for (const { position, bytes } of this.unsynced) this.durable = patched(this.durable, position, bytes);
    this.unsynced = [];
  }

  /** What a failed sync does on Linux: programs still see what they wrote, but nothing will bring it to the disk. */
  forgetUnsynced(): void {
    this.unsynced = [];
  }

  /** What is left after a power cut: each sector that was not synced is there or not, as `keep` says. */
  afterPowerCut(keep: () => boolean): Inode {
    const left = new Inode();
    left.durable = Buffer.from(this.durable);
    for (const { position, bytes } of this.unsynced) {
      for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
        if (keep()) left.durable = patched(left.durable, position + at, bytes.subarray(at, at + SECTOR_BYTES));
      }
    }
    left.content = Buffer.from(left.durable);
    return left;
  }
}

/** A file system in memory that knows what a power cut would leave of it. */
export class MemoryFiles implements FileSystem {
  names: Map<string, Inode> = new Map();
  #durableNames: Map<string, Inode> = new Map();
  /** States of the names since the last directory sync, oldest first: a journal keeps their order, so a cut leaves one of them. */
  #unsyncedNames: Map<string, Inode>[] = [];

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const found = this.names.get(path);
    if (mode === 'create' && found !== undefined) throw systemError('EEXIST', path);
    if (mode !== 'create' && found === undefined) throw systemError('ENOENT', path);
    const inode = found ?? new Inode();
    if (found === undefined) this.#rename((names) => names.set(path, inode));
    return {
      read: async (target, position) => inode.content.copy(target, 0, position),
      write: async (source, position) => {
        inode.write(position, source, mode === 'write-synced');
        return source.length;
      },
      sync: async () => inode.sync(),
      close: async () => undefined,
    };
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#inode(from);
    this.#rename((names) => names.set(to, inode).delete(from));
  }

  async link(from: string, to: string): Promise<void> {
    const inode = this.#inode(from);
    if (this.names.has(to)) throw systemError('EEXIST', to);
    this.#rename((names) => names.set(to, inode));
  }

  async remove(path: string): Promise<void> {
    this.#inode(path);
    this.#rename((names) => names.delete(path));
  }

  async list(directory: string): Promise<readonly string[]> {
    const below = [...this.names.keys()].filter((path) => path.startsWith(`${directory}/`));
    return [...new Set(below.map((path) => path.slice(directory.length + 1).split('/')[0] ?? ''))].sort();
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const inode = this.names.get(path);
    if (inode !== undefined) return { bytes: inode.content.length, isDirectory: false };
    return [...this.names.keys()].some((name) => name.startsWith(`${path}/`)) ? { bytes: 0, isDirectory: true } : undefined;
  }

  /** Directories are there as long as something is in them. */
  async makeDirectory(): Promise<void> {}

  async removeDirectory(): Promise<boolean> {
    return false;
  }

  async space(): Promise<FileSpace> {
    return { totalBytes: 2 ** 40, freeBytes: 2 ** 40 };
  }

  async syncDirectory(): Promise<void> {
    this.#durableNames = new Map(this.names);
    this.#unsyncedNames = [];
  }

  readSync(path: string): Uint8Array | undefined {
    const inode = this.names.get(path);
    return inode === undefined ? undefined : Buffer.from(inode.content);
  }

  /** The content itself, to be damaged. */
  content(path: string): Buffer {
    return this.#inode(path).content;
  }

  truncate(path: string, bytes: number): void {
    const inode = this.#inode(path);
    inode.content = Buffer.from(inode.content.subarray(0, bytes));
  }

  forgetUnsynced(): void {
    for (const inode of this.names.values()) inode.forgetUnsynced();
  }

  /** The same files with the same content, on their own. */
  copy(): MemoryFiles {
    return this.#withNames(this.names, (inode) => {
      const copied = new Inode();
      copied.content = Buffer.from(inode.content);
      copied.durable = Buffer.from(inode.content);
      return copied;
    });
  }

  /** One of the states that a power cut now may leave; `choose(n)` answers a whole number below n. */
  afterPowerCut(choose: (below: number) => number): MemoryFiles {
    const states = [this.#durableNames, ...this.#unsyncedNames];
    const names = states[choose(states.length)] ?? this.#durableNames;
    return this.#withNames(names, (inode) => inode.afterPowerCut(() => choose(2) === 1));
  }

  #withNames(names: ReadonlyMap<string, Inode>, convert: (inode: Inode) => Inode): MemoryFiles {
    const result = new MemoryFiles();
    for (const [path, inode] of names) result.names.set(path, convert(inode));
    result.#durableNames = new Map(result.names);
    return result;
  }

  #rename(change: (names: Map<string, Inode>) => void): void {
    change(this.names);
    this.#unsyncedNames.push(new Map(this.names));
  }

  #inode(path: string): Inode {
    const inode = this.names.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode;
  }
}

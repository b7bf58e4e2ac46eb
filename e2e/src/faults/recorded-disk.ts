import { Buffer } from 'node:buffer';
import { dirname } from 'node:path';
import type { FileSpace, FileStat, FileSystem, OpenFile, OpenMode } from '@kalamdb/storage';

/** Content of a file, whatever its names. */
export interface Inode {
  content: Buffer;
}

/** What reached the disk's interface, in order. What is asked for and what is answered are two events: between them anything may be cut. */
export type DiskEvent =
  | { readonly kind: 'write'; readonly inode: Inode; readonly position: number; readonly bytes: Buffer }
  /** Everything written to the inode before event `upTo` is on the disk from here on. */
  | { readonly kind: 'synced'; readonly inode: Inode; readonly upTo: number }
  /** A sync failed: what was written before it may be on the disk or not, and no later sync brings it there. */
  | { readonly kind: 'sync failed'; readonly inode: Inode; readonly upTo: number }
  | { readonly kind: 'written through'; readonly write: number }
  | { readonly kind: 'names'; readonly names: ReadonlyMap<string, Inode> }
  | { readonly kind: 'names synced'; readonly upTo: number }
  | { readonly kind: 'mark'; readonly mark: number };

/** How a changing call goes wrong. */
export type DiskFault = 'refused' | 'short' | 'done but reported failed';

const systemError = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

/** `content` with `bytes` at `position`. */
export function patched(content: Buffer, position: number, bytes: Uint8Array): Buffer {
  const end = position + bytes.length;
  const result = content.length >= end ? content : Buffer.concat([content, Buffer.alloc(end - content.length)]);
  result.set(bytes, position);
  return result;
}

/** A file system in memory that remembers every event, so that the state after a power cut at any moment can be put together. */
export class RecordedDisk implements FileSystem {
  readonly events: DiskEvent[] = [];
  readonly startContents: ReadonlyMap<Inode, Buffer>;
  readonly startNames: ReadonlyMap<string, Inode>;
  /** Asked before every change. */
  fault: (() => DiskFault | undefined) | undefined;
  #names: Map<string, Inode>;

  constructor(files: ReadonlyMap<string, Buffer> = new Map()) {
    this.#names = new Map([...files].map(([path, content]) => [path, { content: Buffer.from(content) }]));
    this.startNames = new Map(this.#names);
    this.startContents = new Map([...this.#names.values()].map((inode) => [inode, Buffer.from(inode.content)]));
  }

  mark(mark: number): void {
    this.events.push({ kind: 'mark', mark });
  }

  /** What programs see now; what a killed process leaves. */
  files(): Map<string, Buffer> {
    return new Map([...this.#names].map(([path, { content }]) => [path, Buffer.from(content)]));
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const found = this.#names.get(path);
    if (mode === 'create' && found !== undefined) throw systemError('EEXIST', path);
    if (mode !== 'create' && found === undefined) throw systemError('ENOENT', path);
    const inode = found ?? { content: Buffer.alloc(0) };
    if (found === undefined) await this.#rename((names) => names.set(path, inode));
    return {
      read: async (target, position) => inode.content.copy(target, 0, position),
      write: (source, position) => this.#write(inode, { source, position, through: mode === 'write-synced' }),
      sync: () => this.#sync(inode),
      close: async () => undefined,
    };
  }

  rename(from: string, to: string): Promise<void> {
    const inode = this.#inode(from);
    return this.#rename((names) => names.set(to, inode).delete(from));
  }

  link(from: string, to: string): Promise<void> {
    const inode = this.#inode(from);
    if (this.#names.has(to)) throw systemError('EEXIST', to);
    return this.#rename((names) => names.set(to, inode));
  }

  remove(path: string): Promise<void> {
    this.#inode(path);
    return this.#rename((names) => names.delete(path));
  }

  async list(directory: string): Promise<readonly string[]> {
    const inside = [...this.#names.keys()].filter((path) => dirname(path) === directory);
    return inside.map((path) => path.slice(directory.length + 1)).sort();
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const inode = this.#names.get(path);
    return inode === undefined ? undefined : { bytes: inode.content.length, isDirectory: false };
  }

  async makeDirectory(): Promise<void> {}

  async removeDirectory(): Promise<boolean> {
    return false;
  }

  async space(): Promise<FileSpace> {
    return { totalBytes: 2 ** 40, freeBytes: 2 ** 40 };
  }

  async syncDirectory(): Promise<void> {
    const upTo = this.events.length;
    if (this.fault?.() !== undefined) throw systemError('EIO', 'directory');
    await Promise.resolve();
    this.events.push({ kind: 'names synced', upTo });
  }

  readSync(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.content;
  }

  async #write(inode: Inode, how: { source: Uint8Array; position: number; through: boolean }): Promise<number> {
    const fault = this.fault?.();
    if (fault === 'refused') throw systemError('ENOSPC', 'write');
    const bytes = Buffer.from(fault === 'short' ? how.source.subarray(0, how.source.length >> 1) : how.source);
    const write = this.events.length;
    this.events.push({ kind: 'write', inode, position: how.position, bytes });
    inode.content = patched(inode.content, how.position, bytes);
    await Promise.resolve();
    if (fault === 'done but reported failed') throw systemError('EIO', 'write');
    if (how.through) this.events.push({ kind: 'written through', write });
    return bytes.length;
  }

  async #sync(inode: Inode): Promise<void> {
    const upTo = this.events.length;
    const fault = this.fault?.();
    await Promise.resolve();
    this.events.push({ kind: fault === undefined ? 'synced' : 'sync failed', inode, upTo });
    if (fault !== undefined) throw systemError('EIO', 'fdatasync');
  }

  async #rename(change: (names: Map<string, Inode>) => void): Promise<void> {
    const fault = this.fault?.();
    if (fault === 'refused' || fault === 'short') throw systemError('EIO', 'rename');
    change(this.#names);
    this.events.push({ kind: 'names', names: new Map(this.#names) });
    await Promise.resolve();
    if (fault !== undefined) throw systemError('EIO', 'rename');
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode;
  }
}

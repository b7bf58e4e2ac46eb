import type { FileSystem, OpenFile } from './file-system.ts';

/** What goes wrong: nothing is done, half is done, or all is done, and in each case an error or a short count is answered. */
export type FaultKind = 'refused' | 'short' | 'done but reported failed';

/** Which changing operations fail: those counted from `first` (0-based), `count` of them. */
export interface Fault {
  readonly first: number;
  readonly count: number;
  readonly kind: FaultKind;
}

const ioError = (): Error => Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });

/** A file system whose n-th write, sync, rename or other change fails. Reading never does. */
export class FaultyFiles {
  readonly files: FileSystem;
  /** Changing operations so far. */
  operations = 0;
  fault: Fault | undefined;

  constructor(inner: FileSystem) {
    this.files = {
      ...this.#reading(inner),
      open: async (path, mode) => (mode === 'read' ? inner.open(path, mode) : this.#file(await this.#change(() => inner.open(path, mode)))),
      rename: (from, to) => this.#change(() => inner.rename(from, to)),
      link: (from, to) => this.#change(() => inner.link(from, to)),
      remove: (path) => this.#change(() => inner.remove(path)),
      removeDirectory: (path) => this.#change(() => inner.removeDirectory(path)),
      syncDirectory: (path) => this.#change(() => inner.syncDirectory(path)),
    };
  }

  /** From now on every change is refused: for a process that was killed but whose code still runs here. */
  stop(): void {
    this.fault = { first: this.operations, count: Number.POSITIVE_INFINITY, kind: 'refused' };
  }

  #reading(inner: FileSystem): Pick<FileSystem, 'list' | 'stat' | 'makeDirectory' | 'space' | 'readSync'> {
    return {
      list: (directory) => inner.list(directory),
      stat: (path) => inner.stat(path),
      makeDirectory: (path) => inner.makeDirectory(path),
      space: (path) => inner.space(path),
      readSync: (path) => inner.readSync(path),
    };
  }

  #file(inner: OpenFile): OpenFile {
    return {
      read: (target, position) => inner.read(target, position),
      write: async (source, position) => {
        const kind = this.#nextFault();
        if (kind === undefined) return inner.write(source, position);
        if (kind === 'short') return inner.write(source.subarray(0, source.length >> 1), position);
        if (kind === 'done but reported failed') await inner.write(source, position);
        throw ioError();
      },
      sync: () => this.#change(() => inner.sync()),
      close: () => inner.close(),
    };
  }

  #nextFault(): FaultKind | undefined {
    const at = this.operations;
    this.operations += 1;
    const fault = this.fault;
    return fault !== undefined && at >= fault.first && at < fault.first + fault.count ? fault.kind : undefined;
  }

  async #change<T>(action: () => Promise<T>): Promise<T> {
    const kind = this.#nextFault();
    if (kind === undefined) return action();
    if (kind === 'done but reported failed') await action();
    throw ioError();
  }
}

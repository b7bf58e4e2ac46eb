import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import { type FileSystem, hasSystemCode } from './file-system.ts';
import { removeIfThere } from './whole-file.ts';

/**
 * How often the first of several that ask at the same time looks again whether the others have stepped back: about a tenth of a second, which
 * is long enough for them on a machine with much to do.
 */
const looksMax = 1000;

const LOCK_NAME = /^LOCK-(\d+)-(\d+)-(\d+)$/;
/** Start time of a process where the system does not tell one. */
const UNKNOWN_START = '0';

/** Who asks for a lock or holds it. All of it is in the file's name, so a file is never there without it. */
interface Claim {
  readonly name: string;
  readonly pid: number;
  /** When the process began, because process ids are used again: clock ticks after boot. */
  readonly started: string;
}

const startOf = (files: FileSystem, pid: number): string => {
  const status = files.readSync(`/proc/${pid}/stat`);
  if (status === undefined) return UNKNOWN_START;
  // The second field is the program's name in parentheses and may hold spaces; the start is the 22nd field, the 20th after it.
  const text = Buffer.from(status).toString('latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? UNKNOWN_START;
};

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasSystemCode(error, 'EPERM');
  }
};

const isAlive = (files: FileSystem, { pid, started }: Claim): boolean =>
  isRunning(pid) && (started === UNKNOWN_START || started === startOf(files, pid));

const readClaim = (name: string): Claim | undefined => {
  const [, pid, started] = LOCK_NAME.exec(name) ?? [];
  return pid === undefined || started === undefined ? undefined : { name, pid: Number(pid), started };
};

/**
 * The exclusive right of one process to a directory. Whoever wants it first makes a file of its own, `LOCK-<process id>-<its start
 * time>-<count>`, and then looks for others: it has the right only if it then sees no other of a process that still runs. Two that ask
 * at the same time cannot both miss the other. Files of processes that have ended are removed on the way, so a kill leaves nothing to wait for.
 */
export class DirectoryLock {
  /** Locks asked for by this process. */
  static #count = 0;
  readonly #files: FileSystem;
  readonly #path: string;

  private constructor(files: FileSystem, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** Takes the lock or throws DIRECTORY_LOCKED naming the process that has it. The directory must exist. */
  static async take(files: FileSystem, directory: string): Promise<DirectoryLock> {
    DirectoryLock.#count += 1;
    const name = `LOCK-${process.pid}-${startOf(files, process.pid)}-${DirectoryLock.#count}`;
    const lock = new DirectoryLock(files, join(directory, name));
    await (await files.open(lock.#path, 'create')).close();
    try {
      // Of several that ask at the same time the first by name stays until the others have stepped back; a holder does not step back.
      for (let look = 1; ; look += 1) {
        const [other] = await DirectoryLock.#others(files, directory, name);
        if (other === undefined) return lock;
        if (other.name < name || look === looksMax) throw kalamError('DIRECTORY_LOCKED', { path: directory, pid: other.pid });
      }
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Gives the directory free. */
  async release(): Promise<void> {
    await removeIfThere(this.#files, this.#path);
  }

  /** Claims of running processes beside `own`, the first by name first. Those of ended processes are removed. */
  static async #others(files: FileSystem, directory: string, own: string): Promise<Claim[]> {
    const alive: Claim[] = [];
    for (const name of await files.list(directory)) {
      const claim = name === own ? undefined : readClaim(name);
      if (claim === undefined) continue;
      if (isAlive(files, claim)) alive.push(claim);
      else await removeIfThere(files, join(directory, name));
    }
    return alive;
  }
}

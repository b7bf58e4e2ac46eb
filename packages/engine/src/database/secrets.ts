import { join } from 'node:path';
import { kalamError, type Random } from '@kalamdb/protocol';
import { type FileSystem, publishFile } from '@kalamdb/storage';

/** Secrets that are made once and stay with the data, each in a file that only the owner can read. */
export class Secrets {
  readonly #directory: string | undefined;
  readonly #files: FileSystem;
  readonly #random: Random;
  readonly #known = new Map<string, Promise<Uint8Array>>();

  /** Without a directory secrets live as long as the object. */
  constructor(directory: string | undefined, files: FileSystem, random: Random) {
    this.#directory = directory;
    this.#files = files;
    this.#random = random;
  }

  /** The secret of this name, made with `bytes` random bytes at first use. Names are `[a-z0-9-]+`. */
  get(name: string, bytes: number): Promise<Uint8Array> {
    if (!/^[a-z0-9-]+$/.test(name)) throw kalamError('INTERNAL_ERROR', { reason: `'${name}' is no name for a secret` });
    let known = this.#known.get(name);
    if (known === undefined) {
      known = this.#load(name, bytes);
      this.#known.set(name, known);
    }
    return known;
  }

  async #load(name: string, bytes: number): Promise<Uint8Array> {
    if (this.#directory === undefined) return this.#random.bytes(bytes);
    const folder = join(this.#directory, 'secrets');
    const path = join(folder, name);
    const stored = this.#files.readSync(path);
    if (stored !== undefined) {
      if (stored.byteLength === bytes) return stored;
      throw kalamError('DAMAGED_DATA', { where: `the secret '${name}'`, reason: `${stored.byteLength} bytes instead of ${bytes}` });
    }
    const made = this.#random.bytes(bytes);
    await this.#files.makeDirectory(folder);
    await publishFile(this.#files, path, made);
    return made;
  }
}

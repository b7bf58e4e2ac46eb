import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import { removeIfThere, writeFully } from '../files/whole-file.ts';
import { encodeHeader, type LogHeader } from './log-format.ts';

/** Files kept for reuse. One is needed at every roll; the second covers a failure right after one. */
export const sparesMax: number = 2;

const ZERO_SLICE_BYTES = 1024 * 1024;
const LOG_NAME = /^(\d{12})\.log$/;
const SPARE_NAME = /^.+\.spare$/;

/** A file that a new log file can be made of. */
interface Spare {
  readonly path: string;
  readonly bytes: number;
}

/** A file that appends go to, open twice: `synced` for writes that are on the disk when they resolve, `plain` for the others. */
export interface LogFileHandles {
  readonly bytes: number;
  readonly plain: OpenFile;
  readonly synced: OpenFile;
}

/** A file that is written and synced but does not have its name yet. */
export interface PreparedFile {
  readonly path: string;
  readonly number: number;
  readonly handles: LogFileHandles;
}

const numbersOf = (names: readonly string[]): readonly number[] =>
  names
    .map((name) => LOG_NAME.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number);

/**
 * The log's folder: `000000000001.log` and on, and `*.spare` files, preallocated or used before. Its work behind the back of
 * appends (preallocating, recycling) is done one step after another; a step that fails is tried again when its result is needed.
 */
export class LogDirectory {
  readonly path: string;
  readonly #files: FileSystem;
  readonly #fileBytes: number;
  readonly #spares: Spare[] = [];
  #work: Promise<void> = Promise.resolve();
  #made = 0;

  private constructor(files: FileSystem, path: string, fileBytes: number) {
    this.#files = files;
    this.path = path;
    this.#fileBytes = fileBytes;
  }

  /** Opens the folder, making it if it is not there; `numbers` are those of the log files in it, in order. */
  static async open(files: FileSystem, path: string, fileBytes: number): Promise<{ directory: LogDirectory; numbers: readonly number[] }> {
    await files.makeDirectory(path);
    const directory = new LogDirectory(files, path, fileBytes);
    // Spare files that lie here may have had another name on the disk until now.
    await files.syncDirectory(path);
    const names = await files.list(path);
    for (const name of names.filter((found) => SPARE_NAME.test(found))) await directory.#keepSpare(join(path, name));
    return { directory, numbers: numbersOf(names) };
  }

  /** {@link open} for looking only: nothing is made or removed. */
  static async look(files: FileSystem, path: string): Promise<{ directory: LogDirectory; numbers: readonly number[] }> {
    return { directory: new LogDirectory(files, path, 0), numbers: numbersOf(await files.list(path)) };
  }

  pathOf(number: number): string {
    return join(this.path, `${String(number).padStart(12, '0')}.log`);
  }

  /**
   * Writes a header, and records behind it, to a spare file of at least `bytesMin` and syncs it. Nothing has changed for a reader
   * of the log yet, so a failure leaves the log as it was.
   */
  async prepare(header: LogHeader, records: Uint8Array, bytesMin: number): Promise<PreparedFile> {
    const { path, bytes } = await this.#takeSpare(bytesMin);
    let handles: LogFileHandles | undefined;
    try {
      const plain = await this.#files.open(path, 'write');
      handles = { bytes, plain, synced: plain };
      await writeFully(plain, Buffer.concat([encodeHeader(header), records]), 0);
      await plain.sync();
      handles = { bytes, plain, synced: await this.#files.open(path, 'write-synced') };
      return { path, number: header.number, handles };
    } catch (error) {
      // What is reported is why it could not be made, not that its remains are in the way.
      await handles?.plain.close().catch(() => undefined);
      await this.#discard(path);
      throw error;
    }
  }

  /** Gives a prepared file its name: the log continues there, also after a power cut, once this resolves. When it throws, it may or may not. */
  async publish({ path, number }: PreparedFile): Promise<void> {
    await this.#files.rename(path, this.pathOf(number));
    await this.#files.syncDirectory(this.path);
  }

  /** Sees to it that a spare file lies ready, in the background. */
  prepareSpare(): void {
    this.#later(async () => {
      if (this.#spares.length === 0) this.#spares.push(await this.#makeSpare(this.#fileBytes));
    });
  }

  /** Makes a spare of a log file that nobody needs, or removes it, in the background. */
  recycle(number: number): void {
    this.#later(async () => {
      const spare = join(this.path, `${String(number).padStart(12, '0')}.spare`);
      await this.#files.rename(this.pathOf(number), spare);
      // Before it is written to: a power cut could give the file its old name back, with what is in it by then.
      await this.#files.syncDirectory(this.path);
      await this.#keepSpare(spare);
    });
  }

  /** Resolves when the background has nothing left to do. */
  idle(): Promise<void> {
    return this.#work;
  }

  #later(step: () => Promise<void>): void {
    // What fails here is missing when it is needed, and is tried again and reported there.
    this.#work = this.#work.then(step).catch(() => undefined);
  }

  async #keepSpare(path: string): Promise<void> {
    const bytes = (await this.#files.stat(path))?.bytes ?? 0;
    // A shorter file was not filled to its end, or belongs to another setting.
    if (bytes === this.#fileBytes && this.#spares.length < sparesMax) this.#spares.push({ path, bytes });
    else await removeIfThere(this.#files, path);
  }

  async #takeSpare(bytesMin: number): Promise<Spare> {
    await this.#work;
    const spare = bytesMin <= this.#fileBytes ? this.#spares.shift() : undefined;
    return spare ?? this.#makeSpare(Math.max(bytesMin, this.#fileBytes));
  }

  /** A new file full of zeros: overwriting allocated blocks is what makes a durable write cheap. */
  async #makeSpare(bytes: number): Promise<Spare> {
    const path = this.#newPath();
    try {
      await removeIfThere(this.#files, path);
      await this.#fillWithZeros(await this.#files.open(path, 'create'), bytes);
    } catch (error) {
      await this.#discard(path);
      throw error;
    }
    return { path, bytes };
  }

  async #fillWithZeros(file: OpenFile, bytes: number): Promise<void> {
    try {
      const zeros = Buffer.alloc(Math.min(bytes, ZERO_SLICE_BYTES));
      for (let at = 0; at < bytes; at += zeros.length) await writeFully(file, zeros.subarray(0, Math.min(zeros.length, bytes - at)), at);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Gives the space of a file that could not be written back, if the system lets us. */
  async #discard(path: string): Promise<void> {
    // A file that stays is found and used or removed at the next opening.
    await this.#files.remove(path).catch(() => undefined);
  }

  #newPath(): string {
    do this.#made += 1;
    while (this.#spares.some((spare) => spare.path === join(this.path, `new-${this.#made}.spare`)));
    return join(this.path, `new-${this.#made}.spare`);
  }
}

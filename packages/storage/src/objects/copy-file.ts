import { Buffer } from 'node:buffer';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import { writeFully } from '../files/whole-file.ts';

/** Bytes that are copied at once. */
const CHUNK_BYTES = 1_048_576;

/** Reads until `target` is full or the file ends; resolves to the bytes read. */
export async function readFully(file: OpenFile, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const bytes = await file.read(target.subarray(done), position + done);
    if (bytes === 0) break;
    done += bytes;
  }
  return done;
}

/** The content of a file, in chunks that are valid until the next one is asked for. `before` runs before each and ends it by throwing. */
export async function* fileChunks(files: FileSystem, path: string, before: () => void): AsyncGenerator<Uint8Array> {
  const file = await files.open(path, 'read');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ; ) {
      before();
      const bytes = await readFully(file, chunk, position);
      if (bytes === 0) return;
      yield chunk.subarray(0, bytes);
      position += bytes;
    }
  } finally {
    await file.close();
  }
}

/** Writes chunks into a new file and syncs it; its name is durable when the folder is synced. Resolves to the bytes written. */
export async function writeChunks(
  files: FileSystem,
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  const file = await files.open(path, 'create');
  try {
    let position = 0;
    for await (const chunk of chunks) {
      await writeFully(file, chunk, position);
      position += chunk.length;
    }
    await file.sync();
    return position;
  } finally {
    await file.close();
  }
}

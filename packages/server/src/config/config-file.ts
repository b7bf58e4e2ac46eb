import { readFile } from 'node:fs/promises';
import { kalamError } from '@kalamdb/protocol';

/** The file that is read from the working directory when none is named. */
export const DEFAULT_CONFIG_FILE = 'server.toml';

/** Largest file that is taken for a configuration. */
const FILE_BYTES_MAX = 1_048_576;

/**
 * Reads the configuration file: the named one (CONFIG_INVALID when it cannot be read), or {@link DEFAULT_CONFIG_FILE}
 * when there is one. The only place of the server that touches the file system itself.
 */
export async function readConfigFile(path: string | undefined): Promise<{ readonly path: string; readonly text: string } | undefined> {
  const chosen = path ?? DEFAULT_CONFIG_FILE;
  try {
    const bytes = await readFile(chosen);
    if (bytes.length > FILE_BYTES_MAX) throw kalamError('CONFIG_INVALID', { reason: `${chosen} is larger than ${FILE_BYTES_MAX} bytes` });
    return { path: chosen, text: bytes.toString('utf8') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    if (path === undefined && code === 'ENOENT') return undefined;
    if (code !== undefined && /^E[A-Z]+$/.test(code)) throw kalamError('CONFIG_INVALID', { reason: `${chosen} cannot be read (${code})` });
    throw error;
  }
}

/** Reads a file that a setting names. Throws CONFIG_INVALID when it cannot be read, or is too large for what it should be. */
export async function readNamedFile(setting: string, path: string): Promise<Buffer> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= FILE_BYTES_MAX) return bytes;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw kalamError('CONFIG_INVALID', { reason: `${setting}: '${path}' cannot be read (${code})` });
  }
  throw kalamError('CONFIG_INVALID', { reason: `${setting}: '${path}' is larger than ${FILE_BYTES_MAX} bytes` });
}

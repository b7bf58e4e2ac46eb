import { KalamError, kalamError } from '@kalamdb/protocol';

const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const DENIED: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS']);
const REFUSED: ReadonlySet<string> = new Set(['ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'EINVAL', 'ELOOP', 'EILSEQ']);

/** The code of a refusal by the system; `undefined` for errors of another kind. */
function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/**
 * What a refusal by the system means for a store: STORE_FULL, STORE_ACCESS_DENIED, STORE_REQUEST_REFUSED, or STORE_UNREACHABLE for
 * what may pass (EIO, EMFILE, ESTALE …). Errors of the table, and those that are not the system's, stay what they are.
 */
export function storeFailure(storage: string, error: unknown): unknown {
  const code = error instanceof KalamError ? undefined : systemCodeOf(error);
  if (code === undefined) return error;
  const options = { cause: error };
  if (FULL.has(code)) return kalamError('STORE_FULL', { where: `storage '${storage}'`, reason: code }, options);
  if (DENIED.has(code)) return kalamError('STORE_ACCESS_DENIED', { storage, reason: code }, options);
  if (REFUSED.has(code)) return kalamError('STORE_REQUEST_REFUSED', { storage, reason: code }, options);
  return kalamError('STORE_UNREACHABLE', { storage, reason: code }, options);
}

/** What a refusal by the system means for a local copy: STORE_FULL, or STORE_UNREACHABLE with its code. Both may pass. */
export function localFailure(path: string, error: unknown): unknown {
  const code = error instanceof KalamError ? undefined : systemCodeOf(error);
  if (code === undefined) return error;
  if (FULL.has(code)) return kalamError('STORE_FULL', { where: `the local copy '${path}'`, reason: code }, { cause: error });
  return kalamError('STORE_UNREACHABLE', { storage: `local copy ${path}`, reason: code }, { cause: error });
}

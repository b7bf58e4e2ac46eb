import { kalamError, type Timers } from '@kalamdb/protocol';
import { isLoopback } from './client-address.ts';

/** Longest time that an issuer may take for one answer. */
const FETCH_MILLIS_MAX = 5000;
/** Longest answer of an issuer that is read. */
const ANSWER_BYTES_MAX = 262_144;

/** Whether a URL may be asked: https, or http to this machine, where nobody listens in. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

/**
 * The JSON object at a URL. Throws ISSUER_UNREACHABLE for whatever goes wrong: no answer within 5 s, a redirect, another status
 * than 200, more than 256 KiB, no JSON object.
 */
export async function fetchJson(url: string, timers: Timers): Promise<object> {
  const abort = new AbortController();
  const patience = timers.after(FETCH_MILLIS_MAX, () => abort.abort(), { keepAlive: true });
  try {
    const response = await fetch(url, { redirect: 'error', signal: abort.signal, headers: { accept: 'application/json' } });
    const text = await readBounded(response);
    if (response.status !== 200) throw new Error(`${url} answered with status ${response.status}`);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error(`${url} did not answer with an object`);
    return value;
  } catch (cause) {
    throw kalamError('ISSUER_UNREACHABLE', {}, { cause });
  } finally {
    patience.cancel();
    abort.abort();
  }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';

/** Bytes of a key: S3 takes 1,024, of which a bucket's prefix may use some. */
const KEY_BYTES_MAX = 900;
/** Bytes of one part of a key: what file systems take as a name. */
const PART_BYTES_MAX = 255;
const SHOWN_CHARACTERS_MAX = 120;

const CONTROL_OR_UNPAIRED = /\p{Cc}|\p{Surrogate}/u;

/**
 * Refuses what cannot be the name of an object (OBJECT_KEY_REFUSED): names are parts divided by `/`, each of 1 to 255 bytes of UTF-8
 * that neither begins with a dot nor holds a backslash, a control character or half a character; 900 bytes in all.
 */
export function checkObjectKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined) throw refused(key, problem);
}

/** Whether {@link checkObjectKey} lets a key pass. */
export function isObjectKey(key: string): boolean {
  return keyProblem(key) === undefined;
}

/** Refuses what no key can begin with. A prefix is the begin of a key, cut anywhere. */
export function checkObjectPrefix(prefix: string): void {
  const parts = prefix.split('/');
  const last = parts.pop() ?? '';
  const problem = textProblem(prefix) ?? partProblem(last === '' ? parts : [...parts, last]);
  if (problem !== undefined) throw refused(prefix, problem);
}

function keyProblem(key: string): string | undefined {
  return key === '' ? 'it is empty' : (textProblem(key) ?? partProblem(key.split('/')));
}

function textProblem(text: string): string | undefined {
  if (CONTROL_OR_UNPAIRED.test(text)) return 'it holds a control character';
  if (text.includes('\\')) return 'it holds a backslash';
  return Buffer.byteLength(text) > KEY_BYTES_MAX ? `it is longer than ${KEY_BYTES_MAX} bytes` : undefined;
}

function partProblem(parts: readonly string[]): string | undefined {
  if (parts.includes('')) return 'a part of it is empty';
  if (parts.some((part) => part.startsWith('.'))) return 'a part of it begins with a dot';
  if (parts.some((part) => Buffer.byteLength(part) > PART_BYTES_MAX)) return `a part of it is longer than ${PART_BYTES_MAX} bytes`;
  return undefined;
}

function refused(key: string, reason: string): Error {
  return kalamError('OBJECT_KEY_REFUSED', { key: JSON.stringify(key.slice(0, SHOWN_CHARACTERS_MAX)), reason });
}

/** Compares keys by their UTF-8 bytes, the order of listings everywhere. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

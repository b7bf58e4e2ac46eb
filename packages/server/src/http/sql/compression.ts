import type { Readable } from 'node:stream';
import { pipeline, type Transform } from 'node:stream';
import { promisify } from 'node:util';
import { brotliCompress, constants, createBrotliCompress, createGzip, gzip } from 'node:zlib';

/** What an answer is compressed with. */
export type ContentEncoding = 'gzip' | 'br';

/** Good for JSON at a cost that a thread of the pool pays. */
const GZIP_OPTIONS = { level: 5 };
/** A small window: the default one takes megabytes for each answer. */
const BROTLI_OPTIONS = { params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 } };
/** Entries of one Accept-Encoding that are looked at. */
const ENTRIES_MAX = 32;

const gzipWhole: (bytes: Buffer, options: object) => Promise<Buffer> = promisify(gzip);
const brotliWhole: (bytes: Buffer, options: object) => Promise<Buffer> = promisify(brotliCompress);

/**
 * What a client's `Accept-Encoding` makes of an answer (RFC 9110, 12.5.3): the encoding it likes best, gzip when it likes both
 * alike, and none unless it asks for one. `undefined`: as it is.
 */
export function acceptedEncoding(header: string | undefined): ContentEncoding | undefined {
  if (header === undefined) return undefined;
  const weights = new Map<string, number>();
  for (const entry of header.toLowerCase().split(',', ENTRIES_MAX)) {
    const [name = '', ...parameters] = entry.split(';');
    weights.set(name.trim(), weightOf(parameters));
  }
  const any = weights.get('*') ?? 0;
  const gzipWeight = weights.get('gzip') ?? weights.get('x-gzip') ?? any;
  const brotliWeight = weights.get('br') ?? any;
  if (gzipWeight === 0 && brotliWeight === 0) return undefined;
  const best = brotliWeight > gzipWeight ? 'br' : 'gzip';
  return Math.max(gzipWeight, brotliWeight) < (weights.get('identity') ?? 0) ? undefined : best;
}

/** A whole answer, compressed. */
export function compress(bytes: Buffer, encoding: ContentEncoding): Promise<Buffer> {
  return encoding === 'gzip' ? gzipWhole(bytes, GZIP_OPTIONS) : brotliWhole(bytes, BROTLI_OPTIONS);
}

/** An answer compressed on its way. Destroying either end destroys the other. */
export function compressed(source: Readable, encoding: ContentEncoding): Readable {
  const transform: Transform = encoding === 'gzip' ? createGzip(GZIP_OPTIONS) : createBrotliCompress(BROTLI_OPTIONS);
  // Whoever reads the transform learns of an error there.
  return pipeline(source, transform, () => {});
}

/** The `q` of an entry, from 0 to 1; 0 when it cannot be read. */
function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const found = /^\s*q\s*=\s*(.*?)\s*$/.exec(parameter);
    if (found !== null) return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(found[1] ?? '') ? Number(found[1]) : 0;
  }
  return 1;
}

import type { FastifyRequest } from 'fastify';

/** Content type of almost all requests. */
const PLAIN_TYPE = 'application/json';

/** Whether a request announces a JSON body of at most `bytesMax` bytes. */
export function hasPlainBody({ headers }: Pick<FastifyRequest, 'headers'>, bytesMax: number): boolean {
  const length = headers['content-length'];
  return headers['content-type'] === PLAIN_TYPE && length !== undefined && Number(length) <= bytesMax;
}

/**
 * Reads a body for which {@link hasPlainBody} holds. The HTTP library's own reading, with the stages around it, takes as long as all else it does
 * for a small statement. `done` is called once, with the body or with what went wrong on the way.
 */
export function readPlainBody({ raw }: Pick<FastifyRequest, 'raw'>, done: (error: Error | undefined, body: Uint8Array) => void): void {
  const chunks: Uint8Array[] = [];
  const onData = (chunk: Uint8Array): void => {
    chunks.push(chunk);
  };
  const end = (error?: Error): void => {
    raw.off('data', onData).off('end', onEnd).off('error', end);
    const [first] = chunks;
    done(error, first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks));
  };
  const onEnd = (): void => end();
  raw.on('data', onData).on('end', onEnd).on('error', end);
}

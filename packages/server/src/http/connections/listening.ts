import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { kalamError } from '@kalamdb/protocol';
import type { FastifyInstance } from 'fastify';

/** Where to listen. */
export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Connections that may wait to be accepted. */
  readonly backlog: number;
}

/**
 * Listens, on every address of a name that has several (`localhost`). Throws PORT_UNAVAILABLE, and listens nowhere then. The
 * further addresses end with the server of the routes.
 */
export async function listen(routes: FastifyInstance, options: ListenOptions): Promise<AddressInfo> {
  const { host, port, backlog } = options;
  try {
    const [first = host, ...others] = await addressesOf(host);
    await routes.listen({ host: first, port, backlog });
    const found = routes.server.address() as AddressInfo;
    for (const address of others) await listenToo(routes.server, { host: address, port: found.port, backlog });
    return found;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw kalamError('PORT_UNAVAILABLE', { address: `${host}:${port}`, reason: code });
  }
}

/** Only `localhost` is more than one address by convention; of any other name the system's choice counts. */
async function addressesOf(host: string): Promise<readonly string[]> {
  if (host !== 'localhost') return [host];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

async function listenToo(main: Server, options: ListenOptions): Promise<void> {
  const further = createServer({ noDelay: true, allowHalfOpen: true }, (socket: Socket) => main.emit('connection', socket));
  further.maxConnections = main.maxConnections;
  main.once('close', () => further.close());
  await new Promise<void>((resolve, reject) => {
    // An address that the machine does not have, such as ::1 where IPv6 is off, is no reason not to serve on the others.
    further.once('error', (error: Error & { readonly code?: string }) => (error.code === 'EADDRNOTAVAIL' ? resolve() : reject(error)));
    further.listen(options, resolve);
  });
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestOptions, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

/** A reverse proxy that adds who asked, as the recipes in docs/operating.md make one do it. */
export interface ReverseProxy {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a proxy for a server. `client` is the address that it says requests come from. */
export async function startReverseProxy(target: { readonly port: number }, client: string): Promise<ReverseProxy> {
  const headersOf = (incoming: IncomingMessage): Record<string, string | string[] | undefined> => ({
    ...incoming.headers,
    'x-forwarded-for': client,
    'x-forwarded-proto': 'https',
  });
  const optionsOf = (incoming: IncomingMessage): RequestOptions => ({
    port: target.port,
    host: '127.0.0.1',
    method: incoming.method,
    path: incoming.url,
    headers: headersOf(incoming),
  });
  const server = createServer((incoming, outgoing) => {
    const forwarded = request(optionsOf(incoming), (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex) => {
    const forwarded = request(optionsOf(incoming));
    forwarded.on('upgrade', (answer, upstream, head) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
      socket.write(head);
      upstream
        .on('error', () => socket.destroy())
        .pipe(socket)
        .on('error', () => upstream.destroy())
        .pipe(upstream);
    });
    forwarded.on('error', () => socket.destroy());
    forwarded.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

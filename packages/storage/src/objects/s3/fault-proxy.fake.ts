import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one request on its way. */
export type S3Fault =
  /** The server never sees it; the connection is cut when its body has come. */
  | { readonly kind: 'cut' }
  /** The server carries it out; the connection is cut before a byte of the answer. */
  | { readonly kind: 'answer lost' }
  /** So many bytes of the answer's body arrive, then the connection is cut. */
  | { readonly kind: 'answer cut'; readonly bytes: number }
  /** The answer's body is shorter than it was, and says so. */
  | { readonly kind: 'answer shortened'; readonly bytes: number }
  /** A bit of the answer's body is turned. */
  | { readonly kind: 'answer damaged' }
  /** Nothing is answered at all until the client gives up. */
  | { readonly kind: 'silence' }
  /** Answered without the server. */
  | { readonly kind: 'refused'; readonly status: number; readonly code: string; readonly headers?: Readonly<Record<string, string>> };

/** What a fault is chosen by. */
export interface SeenRequest {
  /** From 1. */
  readonly number: number;
  readonly method: string;
  readonly path: string;
}

/** An HTTP proxy on a loopback port that spoils the requests it is told to. Whoever starts one closes it. */
export class FaultProxy {
  readonly seen: SeenRequest[] = [];
  /** Asked for every request; `undefined`: it passes. */
  fault: (seen: SeenRequest) => S3Fault | undefined = () => undefined;
  readonly #server: Server;
  readonly #targetPort: number;

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.#targetPort = targetPort;
    server.on('request', (incoming: IncomingMessage, answer: ServerResponse) => void this.#pass(incoming, answer));
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, targetPort);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const seen = { number: this.seen.length + 1, method: incoming.method ?? '', path: incoming.url ?? '' };
    this.seen.push(seen);
    const fault = this.fault(seen);
    const body = await bytesOf(incoming);
    if (fault?.kind === 'silence') return;
    if (fault?.kind === 'cut') return void answer.destroy();
    if (fault?.kind === 'refused') {
      answer.writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers });
      answer.end(seen.method === 'HEAD' ? '' : `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>no</Message></Error>`);
      return;
    }
    const { method, url: path, headers } = incoming;
    const forwarded = request({ host: '127.0.0.1', port: this.#targetPort, method, path, headers: { ...headers, connection: 'close' } });
    forwarded.on('error', () => answer.destroy());
    forwarded.end(body);
    const [response] = (await once(forwarded, 'response')) as [IncomingMessage];
    this.#answer(answer, { response, content: await bytesOf(response), fault });
  }

  #answer(
    answer: ServerResponse,
    { response, content, fault }: { response: IncomingMessage; content: Buffer; fault: S3Fault | undefined },
  ): void {
    const status = response.statusCode ?? 500;
    const { connection, 'transfer-encoding': _, ...headers } = response.headers;
    if (fault?.kind === 'answer lost') answer.destroy();
    else if (fault?.kind === 'answer cut') {
      answer.writeHead(status, headers);
      answer.write(content.subarray(0, fault.bytes), () => answer.destroy());
    } else if (fault?.kind === 'answer shortened') {
      answer.writeHead(status, { ...headers, 'content-length': fault.bytes });
      answer.end(content.subarray(0, fault.bytes));
    } else {
      const damaged = Buffer.from(content);
      if (fault?.kind === 'answer damaged') damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 1;
      answer.writeHead(status, headers);
      answer.end(damaged);
    }
  }
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

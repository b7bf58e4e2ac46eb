import { WebSocket } from 'ws';

/** Largest message taken from a server, inflated or not. */
const messageBytesMax = 64 * 1024 * 1024;
/** How long a server may take to answer the closing handshake; until then the socket keeps the process alive. */
const closeTimeoutMillis = 2_000;

/** Beside what is typed: `ws` also takes the bound of the closing handshake. */
const options = { perMessageDeflate: false, maxPayload: messageBytesMax, closeTimeout: closeTimeoutMillis };

/** The socket of the Node entry: Node 20 has none of its own, and the one of later releases negotiates a compression that the server does not want. */
export class NodeWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, options);
  }
}

import { WebSocket } from 'ws';

/** Largest message taken from a server, inflated or not. */
const messageBytesMax = 64 * 1024 * 1024;

/** The socket of the Node entry: Node 20 has none of its own, and the one of later releases negotiates a compression that the server does not want. */
export class NodeWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { perMessageDeflate: false, maxPayload: messageBytesMax });
  }
}

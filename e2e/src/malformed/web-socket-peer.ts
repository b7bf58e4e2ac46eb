import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { RawSocket } from './raw-socket.ts';

/** A frame as it is written, right or wrong. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** The last of its message; true unless given. */
  readonly fin?: boolean;
  /** The three reserved bits. */
  readonly reserved?: number;
  /** True unless given; clients must. */
  readonly masked?: boolean;
  /** What the header says instead of the payload's length. */
  readonly claimed?: bigint;
}

/** What the server did. */
export type PeerEvent =
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  | { readonly kind: 'end' };

const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78]);

/** The bytes of a frame (RFC 6455 5.2). */
export function frameBytes({ opcode, payload, fin = true, reserved = 0, masked = true, claimed }: Frame): Buffer {
  const length = claimed ?? BigInt(payload.length);
  const maskBit = masked ? 0x80 : 0;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const head = Buffer.alloc(length < 126n ? 2 : length < 65_536n ? 4 : 10);
  head[0] = first;
  if (length < 126n) head[1] = maskBit | Number(length);
  else if (length < 65_536n) {
    head[1] = maskBit | 126;
    head.writeUInt16BE(Number(length), 2);
  } else {
    head[1] = maskBit | 127;
    head.writeBigUInt64BE(length, 2);
  }
  if (!masked) return Buffer.concat([head, payload]);
  const hidden = Buffer.from(payload);
  for (let i = 0; i < hidden.length; i++) hidden[i] = (hidden[i] ?? 0) ^ (MASK[i & 3] ?? 0);
  return Buffer.concat([head, MASK, hidden]);
}

/** Where a peer connects and as whom. */
export interface PeerOptions {
  readonly port: number;
  /** `undefined`: it does not authenticate. */
  readonly token?: string | undefined;
  readonly query?: string;
}

/** A WebSocket client that may break every rule. */
export class WebSocketPeer {
  readonly #socket: RawSocket;

  private constructor(socket: RawSocket) {
    this.#socket = socket;
  }

  /** Upgrades; throws when the server does not accept it. Waits for `auth_success` if there is a token. */
  static async open({ port, token, query = '' }: PeerOptions): Promise<WebSocketPeer> {
    const socket = await RawSocket.open(port);
    const key = createHash('md5').update(String(port)).digest('base64');
    const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
    socket.write(
      `GET /v1/ws${query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n${authorization}\r\n`,
    );
    const status = await socket.status();
    if (status !== 101) throw new Error(`the upgrade was answered with ${status}`);
    const peer = new WebSocketPeer(socket);
    if (token !== undefined) {
      const first = await peer.next();
      if (first.kind !== 'message' || !first.text.includes('auth_success')) throw new Error(`not authenticated: ${JSON.stringify(first)}`);
    }
    return peer;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  writeSlowly(bytes: Buffer, pieces: number): Promise<void> {
    return this.#socket.writeSlowly(bytes, pieces);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** What the server does next, pongs aside. */
  async next(): Promise<PeerEvent> {
    for (;;) {
      const frame = await this.#socket.read(serverFrame);
      if (frame === undefined) return { kind: 'end' };
      const { opcode, payload } = frame;
      if (opcode === 8) {
        const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
        return { kind: 'close', code, reason: payload.subarray(2).toString('utf8') };
      }
      if (opcode === 1 || opcode === 2) return { kind: 'message', text: textOf(payload) };
    }
  }
}

function textOf(payload: Buffer): string {
  return (payload[0] === 0x1f && payload[1] === 0x8b ? gunzipSync(payload) : payload).toString('utf8');
}

function serverFrame(
  bytes: Buffer,
): { readonly value: { readonly opcode: number; readonly payload: Buffer }; readonly bytes: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < headBytes) return undefined;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < headBytes + length) return undefined;
  return {
    value: { opcode: (bytes[0] ?? 0) & 0x0f, payload: bytes.subarray(headBytes, headBytes + length) },
    bytes: headBytes + length,
  };
}

import type { KeptPeer, Scene } from './malformed-case.ts';
import { frameBytes, type PeerEvent, WebSocketPeer } from './web-socket-peer.ts';

/** A worker's place: at most one connection of each mode, opened again after a case that has ended it. */
export class WorkerScene implements Scene {
  readonly port: number;
  readonly token: string;
  readonly #peers = new Map<string, LastingPeer>();

  constructor(port: number, token: string) {
    this.port = port;
    this.token = token;
  }

  async peer(mode: 'json' | 'msgpack'): Promise<KeptPeer> {
    const kept = this.#peers.get(mode);
    if (kept?.alive === true) return kept;
    const query = mode === 'msgpack' ? '?serialization=msgpack' : '';
    const opened = new LastingPeer(await WebSocketPeer.open({ port: this.port, token: this.token, query }));
    this.#peers.set(mode, opened);
    return opened;
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.destroy();
  }
}

class LastingPeer implements KeptPeer {
  readonly #peer: WebSocketPeer;
  #questions = 0;
  alive = true;

  constructor(peer: WebSocketPeer) {
    this.#peer = peer;
  }

  write(bytes: Buffer): void {
    this.#peer.write(bytes);
  }

  writeSlowly(bytes: Buffer, pieces: number): Promise<void> {
    return this.#peer.writeSlowly(bytes, pieces);
  }

  async outcome(): Promise<string> {
    const question = `question-${this.#questions++}`;
    this.#peer.write(frameBytes({ opcode: 1, payload: Buffer.from(`{"type":"next_batch","subscription_id":"${question}"}`) }));
    let first: string | undefined;
    for (;;) {
      const event = await this.#peer.next();
      if (event.kind === 'message' && event.text.includes(question)) return first ?? 'none';
      first ??= outcomeOf(event);
      if (event.kind === 'message') continue;
      this.alive = false;
      this.#peer.destroy();
      return first;
    }
  }

  destroy(): void {
    this.#peer.destroy();
  }
}

/** An event in a word or two. */
export function outcomeOf(event: PeerEvent): string {
  if (event.kind === 'end') return 'end';
  if (event.kind === 'close')
    return `close ${event.code}${event.code === 1011 && !event.reason.startsWith('Invalid message') ? ` ${event.reason}` : ''}`;
  const type = /"type":"(\w+)"/.exec(event.text)?.[1];
  const code = /"code":"(\w+)"/.exec(event.text)?.[1];
  // What is no JSON is MessagePack: an acknowledgement or a batch.
  return type === 'error' ? `error ${code}` : (type ?? 'data');
}

import type { SeededRandom } from '@kalamdb/testing';
import { GOOD_MESSAGES, noise } from './hostile-values.ts';
import type { Family, MalformedCase } from './malformed-case.ts';
import { outcomeOf } from './scene.ts';
import { type Frame, frameBytes, WebSocketPeer } from './web-socket-peer.ts';

const PROTOCOL_ERROR = /^close 1002$/;
const PING = Buffer.from('{"type":"ping"}');
const part = (opcode: number, fin: boolean, payload: Buffer = PING): Frame => ({ opcode, fin, payload });

/** A case that writes frames over a connection of its own and waits for its end. */
function frames(name: string, allowed: RegExp, sent: readonly Frame[]): MalformedCase {
  return {
    name,
    allowed,
    async play({ port, token }) {
      const peer = await WebSocketPeer.open({ port, token });
      peer.write(Buffer.concat(sent.map(frameBytes)));
      return ending(peer);
    },
  };
}

async function ending(peer: WebSocketPeer): Promise<string> {
  const outcome = outcomeOf(await peer.next());
  peer.destroy();
  return outcome;
}

function wrongFrame(random: SeededRandom): Frame {
  const payload = Buffer.from(random.pick(GOOD_MESSAGES));
  return random.pick<Frame>([
    { opcode: 1, payload, masked: false },
    { opcode: random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload },
    { opcode: random.pick([1, 2, 9]), payload: PING, reserved: 1 + random.integer(7) },
    { opcode: 9, payload: Buffer.alloc(126) },
    { opcode: random.pick([8, 9, 10]), payload: PING, fin: false },
    { opcode: 0, payload },
    { opcode: 8, payload: Buffer.from([3]) },
  ]);
}

function wrongClose(random: SeededRandom): Frame {
  const code = Buffer.alloc(2);
  code.writeUInt16BE(random.pick([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]));
  return { opcode: 8, payload: code };
}

/** A message that arrives in pieces, right as it is, with a ping between two of them. */
const slow = (random: SeededRandom): MalformedCase => ({
  name: 'frames: slow sender',
  allowed: /^none$/,
  async play(scene) {
    const peer = await scene.peer('json');
    const pieces = [
      part(1, false, PING.subarray(0, 5)),
      { opcode: 9, payload: noise(random, 20) },
      part(0, false, PING.subarray(5, 9)),
      part(0, true, PING.subarray(9)),
    ];
    await peer.writeSlowly(Buffer.concat(pieces.map(frameBytes)), 2 + random.integer(20));
    return peer.outcome();
  },
});

/** The connection ends in the middle of a frame. */
const truncated = (random: SeededRandom): MalformedCase => ({
  name: 'frames: truncated',
  allowed: /^(end|close 1006|close 1005)$/,
  async play({ port, token }) {
    const peer = await WebSocketPeer.open({ port, token });
    const bytes = frameBytes(part(1, true, Buffer.from(random.pick(GOOD_MESSAGES))));
    peer.write(bytes.subarray(0, 1 + random.integer(bytes.length - 2)));
    peer.end();
    return ending(peer);
  },
});

/** Whoever has not authenticated yet. */
const stranger = (random: SeededRandom): MalformedCase => {
  const [content, allowed] = random.pick([
    ['{"type":"subscribe","subscription":{"id":"x","sql":"SELECT * FROM app.notes"}}', /^error AUTH_REQUIRED$/],
    ['{"type":"authenticate","method":"jwt","token":"x.y.z","protocol":{"serialization":"json","compression":"gzip"}}', /^auth_error$/],
    ['{"type":"authenticate","method":"basic","token":"x","protocol":{"serialization":"json","compression":"gzip"}}', /^close 1011$/],
    ['{"type":"authenticate","method":"jwt","token":"x"}', /^close 1011$/],
  ] as const);
  return {
    name: 'frames: without authentication',
    allowed,
    async play({ port }) {
      const peer = await WebSocketPeer.open({ port });
      peer.write(frameBytes(part(1, true, Buffer.from(content))));
      return ending(peer);
    },
  };
};

/** Frames that break the WebSocket protocol, or connections that end in the middle. */
export const FRAME_FAMILIES: readonly Family[] = [
  { weight: 10, make: (random) => frames('frames: against the protocol', PROTOCOL_ERROR, [wrongFrame(random)]) },
  { weight: 3, make: (random) => frames('frames: wrong close', PROTOCOL_ERROR, [wrongClose(random)]) },
  {
    weight: 3,
    make: () => frames('frames: close with invalid UTF-8', /^close 1007$/, [{ opcode: 8, payload: Buffer.from('03e8ff', 'hex') }]),
  },
  { weight: 5, make: (random) => frames('frames: interleaved', PROTOCOL_ERROR, [part(1, false), part(random.pick([1, 2]), true)]) },
  {
    weight: 3,
    make: (random) =>
      frames('frames: too large', /^close 1009$/, [
        {
          opcode: 1,
          payload: noise(random, 50),
          claimed: random.pick([2_097_153n, 2n ** 31n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]),
        },
      ]),
  },
  {
    weight: 0.2,
    make: () =>
      frames('frames: too many fragments', /^close 1008$/, [
        part(1, false),
        ...Array.from({ length: 1100 }, () => part(0, false, Buffer.from('x'))),
      ]),
  },
  { weight: 10, make: slow },
  { weight: 5, make: truncated },
  { weight: 5, make: stranger },
];

import type { LiveFrame, SharedBody } from '@kalamdb/engine';
import { type JsonObject, jsonString, parseJson, type Timers } from '@kalamdb/protocol';
import { EncodedFrame, type FrameFormat, type PendingFrame, pack } from './encoded-frame.ts';
import { MsgpackWriter } from './msgpack-writer.ts';
import { liveFrameText } from './server-frame.ts';
import { type Receiver, SharedTail } from './shared-tail.ts';

/** Characters of JSON that are written as MessagePack in one turn of the event loop: about a millisecond's work. */
const SLICE_CHARS_MAX = 65_536;

type BatchFrame = LiveFrame & { readonly kind: 'batch' };

/** The forms of each body that somebody has wanted. */
const TAILS: Readonly<Record<FrameFormat['serialization'], WeakMap<SharedBody, SharedTail>>> = {
  json: new WeakMap(),
  msgpack: new WeakMap(),
};
const writer = new MsgpackWriter();

/** The bytes of a live frame in the form that a connection has asked for. Pending only for large frames. */
export function encodeLiveFrame(frame: LiveFrame, format: FrameFormat, timers: Timers): EncodedFrame | PendingFrame {
  const { serialization } = format;
  if (frame.kind === 'change') {
    const tail = tailOf(frame.body, serialization);
    return tail.frame(frame, serialization === 'json' ? () => jsonHead(frame) : (it) => msgpackHead(frame, it), format);
  }
  // Errors are JSON on every connection.
  if (serialization === 'json' || frame.kind === 'error') return pack(EncodedFrame.ofText(liveFrameText(frame)), format);
  if (frame.kind === 'batch' && charsOf(frame.rows) > SLICE_CHARS_MAX) return largeBatch(frame, format, timers);
  writer.value(parseJson(liveFrameText(frame)));
  return pack(EncodedFrame.ofBytes([writer.take()], { binary: true }), format);
}

function tailOf(body: SharedBody, serialization: FrameFormat['serialization']): SharedTail {
  let tail = TAILS[serialization].get(body);
  if (tail === undefined) {
    tail = serialization === 'json' ? jsonTail(body) : msgpackTail(body);
    TAILS[serialization].set(body, tail);
  }
  return tail;
}

function jsonHead({ subscriptionId, more = false }: Receiver): Buffer {
  return Buffer.from(`{"type":"change","subscription_id":${jsonString(subscriptionId)},${more ? '"more":true,' : ''}`);
}

function jsonTail(body: SharedBody): SharedTail {
  return new SharedTail(Buffer.from(`${body.json()}}`), { binary: false, members: 0 });
}

function msgpackHead({ subscriptionId, more = false }: Receiver, { members }: SharedTail): Buffer {
  writer.mapHead(members + (more ? 3 : 2));
  writer.members({ type: 'change', subscription_id: subscriptionId, ...(more ? { more } : {}) });
  return writer.take();
}

function msgpackTail(body: SharedBody): SharedTail {
  const members = writer.members(parseJson(`{${body.json()}}`) as JsonObject);
  return new SharedTail(writer.take(), { binary: true, members });
}

function charsOf(texts: readonly string[]): number {
  let chars = 0;
  for (const text of texts) chars += text.length;
  return chars;
}

/** A batch whose rows are written a slice at a time, so that nobody waits for it. */
function largeBatch(frame: BatchFrame, format: FrameFormat, timers: Timers): PendingFrame {
  const { rows } = frame;
  const ready = rowsInSlices(rows, timers).then((slices) => {
    const { rows: _none, ...around } = parseJson(liveFrameText({ ...frame, rows: [] })) as JsonObject;
    writer.mapHead(Object.keys(around).length + 1);
    writer.members(around);
    writer.text('rows');
    writer.arrayHead(rows.length);
    const packed = pack(EncodedFrame.ofBytes([writer.take(), ...slices], { binary: true }), format);
    return 'ready' in packed ? packed.ready : packed;
  });
  return { plainBytes: charsOf(rows), ready };
}

async function rowsInSlices(texts: readonly string[], timers: Timers): Promise<readonly Buffer[]> {
  const slices: Buffer[] = [];
  const own = new MsgpackWriter();
  let chars = 0;
  for (const text of texts) {
    own.value(parseJson(text));
    chars += text.length;
    if (chars < SLICE_CHARS_MAX) continue;
    slices.push(own.take());
    chars = 0;
    await new Promise<void>((resolve) => timers.soon(resolve));
  }
  slices.push(own.take());
  return slices;
}

import { gunzipSync } from 'node:zlib';
import { type LiveFrame, SharedBody } from '@kalamdb/engine';
import { type JsonObject, parseJson, systemTimers } from '@kalamdb/protocol';
import { Unpackr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import type { EncodedFrame, FrameFormat } from './encoded-frame.ts';
import { encodeLiveFrame } from './live-frame.ts';

const SEQ = 316847529014263808n;
const FORMATS: readonly FrameFormat[] = (['json', 'msgpack'] as const).flatMap((serialization) =>
  [512, Number.POSITIVE_INFINITY].map((gzipBytesMin) => ({ serialization, gzipBytesMin })),
);

async function encoded(frame: LiveFrame, format: FrameFormat): Promise<EncodedFrame> {
  const made = encodeLiveFrame(frame, format, systemTimers);
  return 'ready' in made ? made.ready : made;
}

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' });

const isGzip = ({ data }: EncodedFrame): boolean => data[0] === 0x1f && data[1] === 0x8b;

/** What a client understands. */
function received(frame: EncodedFrame): JsonObject {
  const bytes = isGzip(frame) ? gunzipSync(frame.data) : frame.data;
  return (bytes[0] === 0x7b ? parseJson(bytes.toString()) : unpackr.unpack(bytes)) as JsonObject;
}

function bodyOf(chars: number, encodings: string[] = []): SharedBody {
  return new SharedBody(0, () => {
    encodings.push('json');
    return `"change_type":"insert","rows":[{"id":1,"body":"${'lorem ipsum '.repeat(chars / 12)}","_seq":"${SEQ}"}]`;
  });
}

describe.each(FORMATS)('frames as $serialization, gzip from $gzipBytesMin', (format) => {
  const gzips = Number.isFinite(format.gzipBytesMin);

  test.each([12, 480, 6000, 60_000])('a change of %i characters means the same to every receiver', async (chars) => {
    const body = bodyOf(chars);
    for (const subscriptionId of ['a', 'a', 'sub_2 "ü"', 'x'.repeat(70_000), 'a']) {
      const frame = await encoded({ kind: 'change', subscriptionId, body }, format);
      expect(received(frame)).toEqual({
        type: 'change',
        subscription_id: subscriptionId,
        ...(parseJson(`{${body.json()}}`) as JsonObject),
      });
      expect(isGzip(frame)).toBe(gzips && chars >= 480 && subscriptionId.length < 65_000);
      expect(frame.binary).toBe(isGzip(frame) || format.serialization === 'msgpack');
    }
  });

  test('says that more follows in the head, whoever has had the same change without it', async () => {
    const body = bodyOf(480);
    for (const more of [false, true, undefined, true]) {
      const frame = await encoded({ kind: 'change', subscriptionId: 's', body, more }, format);
      const head = { type: 'change', subscription_id: 's', ...(more === true ? { more } : {}) };
      expect(received(frame)).toEqual({ ...head, ...(parseJson(`{${body.json()}}`) as JsonObject) });
    }
  });

  test('a large batch is written in slices and equals a small one', async () => {
    const control = { batchNum: 3, hasMore: true, status: 'loading_batch', lastSeqId: SEQ } as const;
    for (const count of [1, 5000]) {
      const rows = Array.from({ length: count }, (_unused, id) => `{"id":${id},"body":"row ${id}","_seq":"${SEQ}"}`);
      const frame = await encoded({ kind: 'batch', subscriptionId: 's', control, rows }, format);
      expect(received(frame)).toEqual({
        type: 'initial_data_batch',
        subscription_id: 's',
        rows: rows.map((row) => parseJson(row)),
        batch_control: { batch_num: 3, has_more: true, status: 'loading_batch', last_seq_id: SEQ },
      });
    }
  });

  test('progress names the commit by a bare integer', async () => {
    const frame = await encoded({ kind: 'progress', subscriptionId: 's', seq: SEQ }, format);
    expect(received(frame)).toEqual({ type: 'progress', subscription_id: 's', seq: SEQ });
  });

  test('errors are JSON', async () => {
    const frame = await encoded({ kind: 'error', subscriptionId: 's', code: 'NOT_FOUND', message: 'm' }, format);
    expect(frame).toMatchObject({ binary: false });
  });
});

describe('a body that many receive', () => {
  test('is compressed once, however their frames begin', () => {
    const body = bodyOf(6000);
    const frames = Array.from(
      { length: 20 },
      (_unused, i) =>
        encodeLiveFrame(
          { kind: 'change', subscriptionId: `s${i}`, body },
          { serialization: 'json', gzipBytesMin: 512 },
          systemTimers,
        ) as EncodedFrame,
    );
    // behind the head, up to the checksum
    const tails = frames.map(({ data }, i) => data.subarray(15 + `{"type":"change","subscription_id":"s${i}",`.length, -8).toString('hex'));
    expect(new Set(tails).size).toBe(1);
  });

  test('is the same bytes for all who call it the same', () => {
    const body = bodyOf(600);
    for (const format of FORMATS) {
      const frame = { kind: 'change', subscriptionId: 's', body } as const;
      expect(encodeLiveFrame(frame, format, systemTimers)).toBe(encodeLiveFrame(frame, format, systemTimers));
    }
  });

  test('stays plain when gzip would not make it smaller', () => {
    const noise = Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(900))).toString('base64');
    const body = new SharedBody(0, () => `"rows":["${noise.slice(0, 480)}"]`);
    const frame = { kind: 'change', subscriptionId: 's', body } as const;
    const made = encodeLiveFrame(frame, { serialization: 'json', gzipBytesMin: 512 }, systemTimers) as EncodedFrame;
    expect(made.data.length).toBeLessThanOrEqual(`{"type":"change","subscription_id":"s",${body.json()}}`.length);
  });
});

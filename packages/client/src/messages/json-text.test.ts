import { parseJson } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeqId } from '../rows/seq-id.ts';
import { subscribeText } from './client-frame.ts';
import { jsonText } from './json-text.ts';
import { readSeq, readServerFrame } from './server-frame.ts';

describe('JSON of messages', () => {
  it('is what JSON.stringify writes, where that can write it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        expect(jsonText(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  it('keeps integers exact in both directions', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }), (seq) => {
        expect(parseJson(jsonText({ seq, id: SeqId.from(seq) }))).toEqual({ seq, id: seq });
        expect(subscribeText('s', 'x', { from: seq })).toContain(`"from":${seq}}`);
        const batch = `{"type":"initial_data_batch","subscription_id":"s","rows":[],"batch_control":{"has_more":true,"last_seq_id":${seq}}}`;
        expect(readServerFrame(batch)).toMatchObject({ batch_control: { has_more: true } });
        const frame = readServerFrame(batch);
        expect(readSeq(frame !== undefined && 'batch_control' in frame ? frame.batch_control.last_seq_id : undefined)).toBe(seq);
      }),
    );
  });

  it('refuses what it cannot say', () => {
    expect(() => jsonText(Number.NaN)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => jsonText(() => 1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('reads any frame or refuses it with a typed error', () => {
    const types = fc.constantFrom('auth_success', 'auth_error', 'subscription_ack', 'initial_data_batch', 'change', 'error', 'news');
    const frame = fc.tuple(
      types,
      fc.dictionary(fc.constantFrom('subscription_id', 'rows', 'batch_control', 'change_type', 'message', 'schema'), fc.jsonValue()),
    );
    fc.assert(
      fc.property(frame, ([type, members]) => {
        try {
          readServerFrame(JSON.stringify({ ...members, type }));
        } catch (error) {
          expect(error).toMatchObject({ code: 'RESPONSE_INVALID' });
        }
      }),
    );
    for (const text of ['', '[]', '1', '{"type":"change"}'])
      expect(() => readServerFrame(text)).toThrow(expect.objectContaining({ code: 'RESPONSE_INVALID' }));
    expect(readServerFrame('{"type":"news"}')).toBeUndefined();
  });
});

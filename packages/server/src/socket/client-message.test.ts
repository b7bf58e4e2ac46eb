import { KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readClientMessage } from './client-message.ts';

describe('client messages', () => {
  test('authenticate', () => {
    expect(
      readClientMessage('{"type":"authenticate","method":"jwt","token":"t","protocol":{"serialization":"json","compression":"gzip"}}'),
    ).toEqual({
      kind: 'authenticate',
      token: 't',
      protocol: { serialization: 'json', compression: 'gzip', extensions: undefined },
    });
  });

  test('64-bit integers keep every digit', () => {
    expect(readClientMessage('{"type":"next_batch","subscription_id":"s","last_seq_id":316847529014263809}')).toEqual({
      kind: 'next-batch',
      id: 's',
      lastSeq: 316847529014263809n,
    });
    const subscribe = (options: string): unknown =>
      readClientMessage(`{"type":"subscribe","subscription":{"id":"s","sql":"q","options":${options}}}`);
    expect(subscribe('{"from":316847529014263809}')).toMatchObject({ options: { from: 316847529014263809n } });
    expect(subscribe('{"from_seq_id":7,"batch_size":10,"last_rows":null}')).toMatchObject({ options: { from: 7n, batchSize: 10 } });
    expect(subscribe('{"from":"316847529014263809"}')).toMatchObject({ options: { from: 316847529014263809n } });
  });

  test('no options and empty options are different', () => {
    const options = (rest: string): unknown =>
      (readClientMessage(`{"type":"subscribe","subscription":{"id":"s","sql":"q"${rest}}}`) as { options?: unknown }).options;
    expect(options('')).toBeUndefined();
    expect(options(',"options":null')).toBeUndefined();
    expect(options(',"options":{}')).toEqual({});
  });

  test('ping takes unknown members', () => {
    expect(readClientMessage('{"type":"ping","extra":1}')).toEqual({ kind: 'ping' });
  });

  test.each([
    ['not json', 'Invalid JSON'],
    ['', 'Invalid JSON'],
    ['{}', 'missing field `type`'],
    ['[]', 'missing field `type`'],
    ['{"type":"dance"}', 'unknown variant `dance`'],
    ['{"type":"subscribe"}', 'missing field `subscription`'],
    ['{"type":"subscribe","subscription":{"id":"x"}}', 'missing field `sql`'],
    ['{"type":"subscribe","subscription":{"id":"x","sql":"q","options":[]}}', 'expected an object'],
    ['{"type":"subscribe","subscription":{"id":"x","sql":"q","options":{"batch_size":-1}}}', 'expected an integer for `batch_size`'],
    ['{"type":"subscribe","subscription":{"id":"x","sql":"q","options":{"from":1.5}}}', 'expected an integer for `from`'],
    ['{"type":"next_batch","subscription_id":"s","last_seq_id":9223372036854775808}', 'expected an integer for `last_seq_id`'],
    ['{"type":"authenticate","method":"jwt","token":"t"}', 'missing field `protocol`'],
    ['{"type":"authenticate","method":"jwt","token":"t","protocol":{"serialization":"xml","compression":"gzip"}}', 'unknown variant `xml`'],
  ])('%s is refused', (text, part) => {
    expect(() => readClientMessage(text)).toThrow(KalamError);
    expect(() => readClientMessage(text)).toThrow(part);
  });

  test('whatever a frame holds, it is a message or a typed error', () => {
    const member = fc.constantFrom(
      'type',
      'subscription',
      'subscription_id',
      'last_seq_id',
      'id',
      'sql',
      'options',
      'from',
      '__proto__',
      'method',
      'token',
      'protocol',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('subscribe', 'authenticate', 'next_batch', 'unsubscribe', 'ping', 'jwt', 'json', 'gzip'),
        fc.jsonValue({ maxDepth: 1 }),
        fc.dictionary(member, tie('any')),
      ),
    })).any;
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      value.map((one) => JSON.stringify(one) ?? ''),
      fc.nat({ max: 300 }).map((n) => '['.repeat(n)),
    );
    fc.assert(
      fc.property(text, (frame) => {
        try {
          readClientMessage(frame);
        } catch (error) {
          expect(error).toBeInstanceOf(KalamError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

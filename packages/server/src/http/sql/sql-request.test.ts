import { KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSqlRequest } from './sql-request.ts';

const read = (text: string, type = 'application/json'): unknown => readSqlRequest(type, Buffer.from(text));

describe('SQL requests', () => {
  test('parameters become cells without losing integers', () => {
    const text = '{"sql":"SELECT 1","params":[null,true,"x",1,-0,2.5,9007199254740993,1e300],"namespace_id":"app","other":1}';
    expect(read(text, 'Application/JSON; charset=utf-8')).toEqual({
      sql: 'SELECT 1',
      parameters: [null, true, 'x', 1n, 0n, 2.5, 9007199254740993n, 1e300],
      namespace: 'app',
      namesCommits: false,
      atLeast: undefined,
    });
  });

  test('a commit can be asked for and named', () => {
    expect(read('{"sql":"x","extensions":["other","commit-token"],"at_least":"316847533000000000"}')).toMatchObject({
      namesCommits: true,
      atLeast: 316847533000000000n,
    });
    expect(read('{"sql":"x","extensions":null,"at_least":316847533000000000}')).toMatchObject({
      namesCommits: false,
      atLeast: 316847533000000000n,
    });
  });

  test.each([
    ['', 'EOF'],
    ['{"sql":', 'Invalid JSON payload'],
    ['[]', 'Invalid JSON payload'],
    ['{"query":"SELECT 1"}', 'missing field `sql`'],
    ['{"sql":1}', 'invalid type: integer `1`'],
    ['{"sql":"x","params":7}', 'expected a sequence'],
    ['{"sql":"x","namespace_id":7}', 'expected a string'],
    ['{"sql":"x","namespace_id":""}', 'expected a namespace'],
    ['{"sql":"x","namespace_id":"a/b"}', 'expected a namespace'],
    ['{"sql":"x","namespace_id":"a..b"}', 'expected a namespace'],
    ['{"sql":"x","namespace_id":"a\\\\b"}', 'expected a namespace'],
    ['{"sql":"x","extensions":"commit-token"}', 'expected a list of strings'],
    ['{"sql":"x","extensions":[1]}', 'expected a list of strings'],
    ['{"sql":"x","at_least":"soon"}', 'expected a commit'],
    ['{"sql":"x","at_least":1.5}', 'expected a commit'],
  ])('%s is refused', (text, part) => {
    expect(() => read(text)).toThrow(part);
    expect(() => read(text)).toThrow('Invalid JSON payload: ');
  });

  test('other content types are refused, and files outside of forms', () => {
    expect(() => read('{"sql":"x"}', 'text/plain')).toThrow('Invalid JSON payload: Content type error');
    expect(() => readSqlRequest('application/json', Buffer.from('{"sql":"SELECT FILE(\'a\')"}'))).toThrow('FILE placeholders require');
  });

  test('parameters that are no scalars, or too large, are refused by number', () => {
    expect(() => read('{"sql":"x","params":[1,[2]]}')).toThrow('Parameter $2 invalid: Array parameters not yet supported');
    expect(() => read('{"sql":"x","params":[{}]}')).toThrow('Parameter $1 invalid: Object parameters not yet supported');
    expect(() => read('{"sql":"x","params":[9223372036854775808]}')).toThrow('Parameter $1 invalid');
    expect(read('{"sql":"x","params":[-9223372036854775808]}')).toMatchObject({ parameters: [-(2n ** 63n)] });
  });

  test('whatever the bytes are, the answer is a request or a typed error', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record({ sql: fc.jsonValue(), params: fc.jsonValue(), namespace_id: fc.jsonValue() })
        .map((value) => Buffer.from(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(bytes, (body) => {
        try {
          expect(typeof readSqlRequest('application/json', body).sql).toBe('string');
        } catch (error) {
          expect(error).toBeInstanceOf(KalamError);
        }
      }),
    );
  });
});

import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../../server.ts';
import { rootToken, startTestServer } from '../wire-client.fixture.ts';
import { fileUse, mayNameFiles } from './file-placeholders.ts';
import { readForm } from './sql-form.ts';

describe('placeholders of files', () => {
  test.each([
    ['INSERT INTO t VALUES (1, FILE("a"), file(\'b\'), File( "c" ))', ['a', 'b', 'c'], 1],
    ['SELECT 1; ; SELECT FILE("a");', ['a'], 2],
    [`SELECT 'FILE("a")', "FILE('b')" -- FILE("c")`, [], 1],
    ['SELECT /* FILE("a") /* ; */ FILE("b") */ 1', [], 1],
    ['SELECT $x$ FILE("a"); $x$, $1', [], 1],
    ['SELECT profile("a"), files("b"), FILE(c), FILE ("d")', ['d'], 1],
    ["SELECT 'it''s FILE(\"a\")'", [], 1],
    ['', [], 0],
    ['-- only a comment', [], 0],
  ])('%s', (sql, placeholders, statements) => {
    expect(fileUse(sql)).toEqual({ placeholders, statements });
  });

  test('any text is read to its end, and a text without the word is not read at all', () => {
    const piece = fc.constantFrom('FILE', '(', ')', '"a"', "'", '"', '--', '\n', '/*', '*/', '$$', '$a$', '$1', ';', ' ', 'x', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const sql = pieces.join('');
        const { placeholders } = fileUse(sql);
        expect(placeholders.length === 0 || mayNameFiles(sql)).toBe(true);
      }),
    );
  });
});

describe('reading a form', () => {
  const type = 'multipart/form-data; boundary=b';
  const form = (...parts: readonly string[]): string => `${parts.map((part) => `--b\r\n${part}\r\n`).join('')}--b--\r\n`;
  const field = (name: string, text: string): string => `Content-Disposition: form-data; name="${name}"\r\n\r\n${text}`;

  test('gives the same however it is cut', async () => {
    const text = form(field('sql', 'SELECT é'), field('params', '[1]'), field('file:a', 'bytes'));
    const bytes = Buffer.from(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 8 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        const { texts, files } = await readForm(Readable.from(chunks), type, 10_000);
        expect([Object.fromEntries(texts), files]).toEqual([{ sql: 'SELECT é', params: '[1]' }, ['a']]);
      }),
      { numRuns: 50 },
    );
  });

  test('any bytes are a form or are refused, and nothing is left waiting', async () => {
    const parts = fc.constantFrom(
      '--b\r\n',
      '--b--',
      '\r\n',
      'Content-Disposition: form-data; name="sql"',
      'x',
      '\0',
      ':',
      '"',
      '\r\n\r\n',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(parts, { maxLength: 20 }), async (pieces) => {
        const outcome = await readForm(Readable.from([Buffer.from(pieces.join(''))]), type, 10_000).then(
          () => 'read',
          (error: unknown) => (error instanceof Error ? 'refused' : 'odd'),
        );
        expect(['read', 'refused']).toContain(outcome);
      }),
      { numRuns: 200 },
    );
  });

  test('refuses what is too much', async () => {
    const read = (text: string, max = 100_000_000): Promise<unknown> => readForm(Readable.from([Buffer.from(text)]), type, max);
    await expect(read(form(field('sql', 'x'.repeat(200))), 100)).rejects.toThrow('too large');
    await expect(read(form(...Array.from({ length: 21 }, (_, i) => field(`file:${i}`, 'x'))))).rejects.toThrow(
      'Too many files: maximum 20 allowed',
    );
    await expect(read(form(...Array.from({ length: 30 }, (_, i) => field(`f${i}`, 'x'))))).rejects.toThrow('more than 20 parts');
    await expect(read(form(field('file:big', 'x'.repeat(26_214_401))))).rejects.toThrow(
      "File 'big' exceeds maximum size of 26214400 bytes",
    );
    await expect(readForm(Readable.from([]), 'multipart/form-data', 100)).rejects.toThrow('Invalid multipart payload');
  });
});

describe('SQL by form', () => {
  let server: RunningServer;
  let token: string;

  beforeAll(async () => {
    server = await startTestServer({ 'rate_limit.request_body_limit_bytes': 2_000_000 });
    token = await rootToken(server.url);
  });

  afterAll(() => server.close());

  async function send(parts: Readonly<Record<string, string | Blob>>): Promise<{ readonly status: number; readonly body: unknown }> {
    const form = new FormData();
    for (const [name, value] of Object.entries(parts)) form.append(name, value);
    const response = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: form });
    return { status: response.status, body: await response.json() };
  }

  test('runs with parameters, and files that are not named are passed over', async () => {
    const answer = await send({ sql: 'SELECT $1 AS a, $2 AS b', params: '[9007199254740993,"x"]', 'file:unused': new Blob(['bytes']) });
    expect(answer).toMatchObject({ status: 200, body: { status: 'success', results: [{ rows: [['9007199254740993', 'x']] }] } });
  });

  test.each([
    [{}, 'EMPTY_SQL', 'SQL statement is required'],
    [{ sql: '  ' }, 'EMPTY_SQL', 'SQL statement is required'],
    [{ sql: 'SELECT 1', params: '{' }, 'INVALID_PARAMETER', 'Invalid params JSON: '],
    [{ sql: 'SELECT 1', params: '{}' }, 'INVALID_PARAMETER', 'Params must be a JSON array'],
    [{ sql: 'SELECT $1', params: '[[1]]' }, 'INVALID_PARAMETER', 'Parameter $1 invalid: Array parameters not yet supported'],
    [{ sql: 'SELECT 1', namespace_id: 'a/b' }, 'INVALID_INPUT', 'namespace'],
    [{ sql: 'SELECT 1; INSERT INTO t VALUES (FILE("x"))' }, 'INVALID_INPUT', 'File uploads require a single SQL statement'],
    [{ sql: 'INSERT INTO t VALUES (FILE("x"))' }, 'SQL_EXECUTION_ERROR', 'Not implemented: FILE uploads'],
  ])('%j is refused with %s', async (parts, code, message) => {
    const answer = await send(parts as Record<string, string>);
    expect(answer).toMatchObject({ status: 400, body: { error: { code, message: expect.stringContaining(message) as unknown } } });
  });

  test('a placeholder in a JSON request is refused, one in a text is not', async () => {
    const ask = async (sql: string): Promise<unknown> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      return (await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers, body: JSON.stringify({ sql }) })).json();
    };
    expect(await ask('INSERT INTO t VALUES (FILE("x"))')).toMatchObject({
      error: { code: 'INVALID_INPUT', message: 'FILE placeholders require multipart/form-data' },
    });
    expect(await ask(`SELECT 'FILE("x")' AS a`)).toMatchObject({ results: [{ rows: [['FILE("x")']] }] });
  });

  test('a body that is too large is refused as any other', async () => {
    const answer = await send({ sql: 'SELECT 1', 'file:a': new Blob(['x'.repeat(3_000_000)]) });
    expect(answer).toMatchObject({ status: 413, body: { error: 'BODY_TOO_LARGE', max_bytes: 2_000_000 } });
  });
});

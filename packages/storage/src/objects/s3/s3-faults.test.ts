import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { type Clock, systemClock, systemRandom, systemTimers } from '@kalamdb/protocol';
import { S3Server } from '@kalamdb/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemFiles } from '../../files/file-system.ts';
import type { ObjectStore } from '../contract.ts';
import { checkStorage } from '../storage-check.ts';
import { FaultProxy, type S3Fault, type SeenRequest } from './fault-proxy.fake.ts';
import { readS3Settings } from './s3-settings.ts';
import { openS3Store } from './s3-store.ts';

const isMissing = S3Server.program() === undefined;
const LARGE = Buffer.alloc(17_000_000, 'the quick brown fox jumps over the lazy dog. ');
const code = (expected: string): { readonly code: string } => expect.objectContaining({ code: expected });

/** The fault strikes the first so many requests that fit. */
const first = (times: number, fault: S3Fault, fits: (seen: SeenRequest) => boolean = () => true) => {
  let left = times;
  return (seen: SeenRequest): S3Fault | undefined => {
    if (left === 0 || !fits(seen)) return undefined;
    left -= 1;
    return fault;
  };
};

describe.skipIf(isMissing)(`an S3 server behind a bad network${isMissing ? ': left out, KALAMDB_TEST_S3_SERVER names none' : ''}`, () => {
  let server: S3Server;
  let proxy: FaultProxy;
  let folder: string;
  let store: ObjectStore;

  const open = (
    options: { config?: object; credentials?: object; bucket?: string; clock?: Clock; answerMillisMax?: number } = {},
  ): ObjectStore =>
    openS3Store({
      storage: 's3',
      settings: readS3Settings({
        location: options.bucket ?? 'bucket',
        credentials: options.credentials === undefined ? server.credentials : JSON.stringify(options.credentials),
        config: JSON.stringify({ endpoint: proxy.endpoint, ...options.config }),
      }),
      files: systemFiles,
      clock: options.clock ?? systemClock,
      timers: systemTimers,
      random: systemRandom,
      patience: { triesMax: 4, answerMillisMax: options.answerMillisMax ?? 5_000, pauseMillisFirst: 2, pauseMillisMax: 20 },
    });

  beforeAll(async () => {
    server = await S3Server.start();
    proxy = await FaultProxy.start(server.port);
    folder = mkdtempSync(join(tmpdir(), 'kalamdb-s3-faults-'));
    writeFileSync(join(folder, 'large'), LARGE);
    store = open();
    await store.put('large', { file: join(folder, 'large') });
    await store.put('small', { bytes: LARGE.subarray(0, 100_000) });
  });

  afterEach(() => {
    proxy.fault = () => undefined;
  });

  afterAll(async () => {
    await store.close();
    await proxy.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const passing: readonly S3Fault[] = [
    { kind: 'cut' },
    { kind: 'answer lost' },
    { kind: 'answer cut', bytes: 10 },
    { kind: 'refused', status: 503, code: 'SlowDown' },
    { kind: 'refused', status: 503, code: 'SlowDown', headers: { 'retry-after': '0' } },
    { kind: 'refused', status: 500, code: 'InternalError' },
    { kind: 'refused', status: 502, code: '' },
    { kind: 'refused', status: 429, code: '' },
    { kind: 'refused', status: 400, code: 'RequestTimeout' },
  ];

  it.each(passing)('gets over $kind $status $code', async (fault) => {
    proxy.fault = first(2, fault);
    await store.put('passing', { bytes: Buffer.from('content') });
    proxy.fault = first(2, fault);
    expect(Buffer.from(await store.get('passing', { bytesMax: 100 })).toString()).toBe('content');
    proxy.fault = first(2, fault);
    expect((await store.list('pass')).objects).toEqual([{ key: 'passing', bytes: 7 }]);
    proxy.fault = first(2, fault);
    await store.delete(['passing', 'passing-too']);
    // The answer to a HEAD has no body that could name the error.
    proxy.fault = first(2, fault, () => fault.kind !== 'refused' || fault.status !== 400);
    expect(await store.stat('passing')).toBeUndefined();
  });

  it('gets over silence', async () => {
    const other = open({ answerMillisMax: 300 });
    proxy.fault = first(2, { kind: 'silence' });
    expect(await other.get('small', { bytesMax: 1e6 })).toHaveLength(100_000);
    proxy.fault = () => ({ kind: 'silence' });
    await expect(other.get('small', { bytesMax: 1e6 })).rejects.toEqual(code('STORE_TIMEOUT'));
  });

  it('says what stays in the way, after as many tries as it has', async () => {
    const lasting: readonly (readonly [S3Fault, string, number])[] = [
      [{ kind: 'cut' }, 'STORE_UNREACHABLE', 4],
      [{ kind: 'refused', status: 503, code: 'SlowDown' }, 'STORE_THROTTLED', 4],
      [{ kind: 'refused', status: 500, code: 'InternalError' }, 'STORE_UNREACHABLE', 4],
      [{ kind: 'refused', status: 507, code: 'InsufficientStorage' }, 'STORE_FULL', 1],
      [{ kind: 'refused', status: 403, code: 'AccessDenied' }, 'STORE_ACCESS_DENIED', 1],
      [{ kind: 'refused', status: 301, code: 'PermanentRedirect' }, 'STORE_REQUEST_REFUSED', 1],
    ];
    for (const [fault, expected, tries] of lasting) {
      const before = proxy.seen.length;
      proxy.fault = () => fault;
      await expect(store.get('small', { bytesMax: 1e6 })).rejects.toEqual(code(expected));
      expect(proxy.seen.length - before).toBe(tries);
    }
  });

  it('knows its own upload when the answer was lost, and somebody else’s', async () => {
    const isPut = ({ method }: SeenRequest): boolean => method === 'PUT';
    proxy.fault = first(1, { kind: 'answer lost' }, isPut);
    await store.put('once', { bytes: Buffer.from('mine') }, { ifAbsent: true });
    proxy.fault = first(1, { kind: 'answer lost' }, isPut);
    await expect(store.put('once', { bytes: Buffer.from('another') }, { ifAbsent: true })).rejects.toEqual(code('OBJECT_EXISTS'));
    expect(Buffer.from(await store.get('once', { bytesMax: 10 })).toString()).toBe('mine');
  });

  it('finishes an upload in parts whatever is lost once, and never sends all of it again', async () => {
    const steps: readonly ((seen: SeenRequest) => boolean)[] = [
      ({ method, path }) => method === 'POST' && path.includes('uploads='),
      ({ method, path }) => method === 'PUT' && path.includes('partNumber=2'),
      ({ method, path }) => method === 'POST' && path.includes('uploadId='),
    ];
    for (const [index, fits] of steps.entries()) {
      for (const fault of [{ kind: 'answer lost' }, { kind: 'cut' }] as const) {
        const before = proxy.seen.length;
        proxy.fault = first(1, fault, fits);
        const key = `parts-${index}-${fault.kind.replace(' ', '-')}`;
        await store.put(key, { file: join(folder, 'large') }, { ifAbsent: true });
        expect(await store.stat(key)).toEqual({ key, bytes: LARGE.length });
        expect(proxy.seen.slice(before).filter(({ path }) => path.includes('partNumber=')).length).toBeLessThanOrEqual(4);
      }
    }
  });

  it('leaves no parts behind when an upload fails', async () => {
    proxy.fault = ({ path }) => (path.includes('partNumber=2') ? { kind: 'refused', status: 403, code: 'AccessDenied' } : undefined);
    await expect(store.put('failed', { file: join(folder, 'large') })).rejects.toEqual(code('STORE_ACCESS_DENIED'));
    const ended = proxy.seen.filter(({ method, path }) => method === 'DELETE' && path.includes('uploadId='));
    expect(ended).toHaveLength(1);
    expect(await store.stat('failed')).toBeUndefined();
    const inside = readdirSync(server.bucketPath('bucket'), { recursive: true, encoding: 'utf8' });
    expect(inside.filter((path) => path.includes('failed'))).toEqual([]);
  });

  it('goes on with a download where it was cut', async () => {
    const cuts = [1, 5_000_000, 3_000_000];
    proxy.fault = ({ method }) => {
      const bytes = method === 'GET' ? cuts.shift() : undefined;
      return bytes === undefined ? undefined : { kind: 'answer cut', bytes };
    };
    expect(await store.download('large', join(folder, 'copy'))).toBe(LARGE.length);
    expect(Buffer.compare(readFileSync(join(folder, 'copy')), LARGE)).toBe(0);
    proxy.fault = ({ method }) => (method === 'GET' ? { kind: 'answer cut', bytes: 1_000 } : undefined);
    await expect(store.download('large', join(folder, 'copy'))).rejects.toEqual(code('STORE_UNREACHABLE'));
    expect(readdirSync(folder)).not.toContain('copy');
  });

  it('sets its clock after the server’s', async () => {
    const late: Clock = { now: () => systemClock.now() - 3_600_000, elapsed: () => systemClock.elapsed() };
    const other = open({ clock: late });
    expect(await other.stat('small')).toEqual({ key: 'small', bytes: 100_000 });
    const before = proxy.seen.length;
    expect(await other.get('small', { bytesMax: 1e6 })).toHaveLength(100_000);
    expect(proxy.seen.length - before).toBe(1);
  });

  it('names wrong credentials, a wrong region and a bucket that is not there', async () => {
    const secret = 'a-secret-that-is-wrong';
    const wrong: readonly (readonly [ObjectStore, string])[] = [
      [open({ credentials: { access_key_id: 'nobody', secret_access_key: secret } }), 'STORE_CREDENTIALS_REFUSED'],
      [open({ credentials: { access_key_id: server.accessKeyId, secret_access_key: secret } }), 'STORE_CREDENTIALS_REFUSED'],
      [open({ config: { region: 'eu-west-9' } }), 'STORE_CREDENTIALS_REFUSED'],
      [open({ bucket: 'no-such-bucket' }), 'STORE_BUCKET_MISSING'],
    ];
    for (const [other, expected] of wrong) {
      const calls = [
        () => other.get('small', { bytesMax: 1 }),
        () => other.list(''),
        () => other.put('x', { bytes: LARGE.subarray(0, 9) }),
      ];
      for (const call of calls) {
        const error = await call().then(
          () => undefined,
          (failure: unknown) => failure,
        );
        expect(error).toEqual(code(expected));
        const shown = inspect(error, { depth: 10 });
        for (const word of [secret, server.secretAccessKey, server.accessKeyId]) expect(shown).not.toContain(word);
      }
    }
    await expect(open({ bucket: 'no-such-bucket' }).stat('small')).rejects.toEqual(code('STORE_BUCKET_MISSING'));
  });

  it('ends what is under way when it is closed or told to', async () => {
    proxy.fault = () => ({ kind: 'silence' });
    const other = open();
    const controller = new AbortController();
    const told = other.get('small', { bytesMax: 1e6, signal: controller.signal });
    const closed = other.get('small', { bytesMax: 1e6 });
    controller.abort(new Error('enough'));
    await expect(told).rejects.toThrow('enough');
    await other.close();
    await expect(closed).rejects.toEqual(code('STORE_UNREACHABLE'));
    await expect(other.list('')).rejects.toEqual(code('STORE_UNREACHABLE'));
  });

  it('checks what can be done', async () => {
    const options = { clock: systemClock, random: systemRandom };
    expect(await checkStorage(store, { ...options, extended: true })).toMatchObject({ status: 'healthy', totalBytes: undefined });
    proxy.fault = ({ method }) => (method === 'PUT' ? { kind: 'refused', status: 403, code: 'AccessDenied' } : undefined);
    expect(await checkStorage(store, options)).toMatchObject({
      status: 'degraded',
      ...{ writable: false, readable: true, listable: true, deletable: true },
      error: "Storage 's3' refuses access: AccessDenied (status 403)",
    });
    proxy.fault = () => ({ kind: 'refused', status: 403, code: 'SignatureDoesNotMatch' });
    expect(await checkStorage(store, options)).toMatchObject({ status: 'unreachable', readable: false });
  });
});

import { VirtualTime } from '@kalamdb/testing';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalIssuer } from './issuer.fixture.ts';
import { OidcTokens } from './oidc-tokens.ts';

const log = pino({ level: 'silent' });
let issuer: LocalIssuer;
let time: VirtualTime;
let tokens: OidcTokens;

beforeEach(async () => {
  issuer = await LocalIssuer.start();
  time = new VirtualTime();
  tokens = open();
});

afterEach(() => issuer.stop());

function open(audience = '', issuers: readonly string[] = [issuer.url]): OidcTokens {
  return new OidcTokens({ issuers, audience, userClaim: 'preferred_username' }, { clock: time, timers: time, log });
}

const read = (text: string): Promise<unknown> => tokens.read(text, issuer.url);
const seconds = (offset: number): number => Math.floor(time.now() / 1000) + offset;

describe('tokens of an issuer', () => {
  it.each(['RS256', 'PS256', 'ES256'])('with %s say whom it vouches for, and are known from then on', async (algorithm) => {
    const text = await issuer.token({ sub: 's1', email: 'a@example.org', preferred_username: 'anna' }, algorithm);
    expect(tokens.known(text)).toBeUndefined();
    const claims = { issuer: issuer.url, subject: 's1', email: 'a@example.org', name: 'anna' };
    expect(await read(text)).toEqual(claims);
    expect(tokens.known(text)).toEqual(claims);
    expect(issuer.requests).toBe(2);
  });

  it('are refused with a signature that anybody could make', async () => {
    const good = await issuer.token({ sub: 's1' });
    const [, payload = '', signature = ''] = good.split('.');
    const header = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forged = [
      `${header({ alg: 'none' })}.${payload}.`,
      `${header({ alg: 'none' })}.${payload}.${signature}`,
      await issuer.confused({ sub: 's1' }),
      `${header({ alg: 'RS256', kid: 'one-PS256' })}.${payload}.${signature}`,
      good.replace(payload, Buffer.from(JSON.stringify({ iss: issuer.url, sub: 'root', exp: 4_102_444_800 })).toString('base64url')),
      `${good}.${good}`,
      '',
      'a.b.c',
    ];
    for (const text of forged) await expect(read(text), text).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
  });

  it('hold for their time, with a minute of grace', async () => {
    const at = (claims: object): Promise<string> => issuer.token({ sub: 's1', ...claims });
    expect(await read(await at({ exp: seconds(-59) }))).toBeDefined();
    await expect(read(await at({ exp: seconds(-60) }))).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
    expect(await read(await at({ nbf: seconds(60) }))).toBeDefined();
    for (const claims of [{ nbf: seconds(61) }, { iat: seconds(61) }, { exp: 'soon' }, { exp: undefined }]) {
      await expect(read(await at(claims))).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    }
    const short = await at({ exp: seconds(30) });
    await read(short);
    time.advance(91_000);
    expect(() => tokens.known(short)).toThrow(expect.objectContaining({ code: 'TOKEN_EXPIRED' }));
  });

  it('are for the audience that is wanted', async () => {
    tokens = open('kalam');
    expect(await read(await issuer.token({ sub: 's1', aud: ['other', 'kalam'] }))).toBeDefined();
    for (const aud of ['other', ['other'], undefined, { kalam: true }]) {
      await expect(read(await issuer.token({ sub: 's1', aud }))).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    }
  });

  it('name an issuer that is trusted, also inside', async () => {
    const other = await LocalIssuer.start();
    const foreign = await other.token({ sub: 's1' });
    await expect(tokens.read(foreign, other.url)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    await expect(read(await issuer.token({ sub: 's1', iss: other.url }))).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    await expect(read(await issuer.token({ sub: '' }))).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    expect(other.requests).toBe(0);
    await other.stop();
  });
});

describe('an address as name', () => {
  it('counts only when the issuer has verified it', async () => {
    const settings = { issuers: [issuer.url], audience: '', userClaim: 'email' };
    tokens = new OidcTokens(settings, { clock: time, timers: time, log });
    expect(await read(await issuer.token({ sub: 's1', email: 'a@b.c', email_verified: true }))).toMatchObject({ name: 'a@b.c' });
    expect(await read(await issuer.token({ sub: 's2', email: 'a@b.c' }))).toMatchObject({ name: undefined });
    expect(await read(await issuer.token({ sub: 's3', email: 'a@b.c', email_verified: false }))).toMatchObject({ email: undefined });
  });
});

describe('keys', () => {
  it('are fetched again when a token has a new one, at most every 30 s', async () => {
    await read(await issuer.token({ sub: 's1' }));
    await issuer.rotate('two');
    const text = await issuer.token({ sub: 's1' });
    await expect(read(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    expect(issuer.requests).toBe(2);
    time.advance(30_000);
    const [claims] = await Promise.all([read(text), read(text), read(text)]);
    expect(claims).toMatchObject({ subject: 's1' });
    expect(issuer.requests).toBe(4);
  });

  it('that were withdrawn are good for ten minutes at most: five here, five in what is known', async () => {
    const text = await issuer.token({ sub: 's1' });
    await read(text);
    await issuer.rotate('two');
    time.advance(299_999);
    expect(tokens.known(text)).toBeDefined();
    time.advance(2);
    expect(tokens.known(text)).toBeUndefined();
    // The keys at hand are used while newer ones are fetched.
    await read(text);
    await expect.poll(() => read(text).catch((error: { code: string }) => error.code)).toBe('TOKEN_REFUSED');
    expect(tokens.known(text)).toBeDefined();
    time.advance(300_001);
    expect(tokens.known(text)).toBeUndefined();
    expect(issuer.requests).toBe(4);
  });

  it('at hand outlive an issuer that fails', async () => {
    await read(await issuer.token({ sub: 's1' }));
    issuer.mood = 'failing';
    time.advance(3_600_000);
    expect(await read(await issuer.token({ sub: 's2' }))).toMatchObject({ subject: 's2' });
  });

  it.each(['failing', 'endless', 'redirecting', 'foreign'] as const)(
    'of an issuer that is %s are none, and it is left in peace',
    async (mood) => {
      issuer.mood = mood;
      const text = await issuer.token({ sub: 's1' });
      for (let attempt = 0; attempt < 5; attempt++) await expect(read(text)).rejects.toMatchObject({ code: 'ISSUER_UNREACHABLE' });
      expect(issuer.requests).toBe(1);
      issuer.mood = 'well';
      time.advance(3000);
      expect(await read(text)).toMatchObject({ subject: 's1' });
    },
  );

  it('are waited for five seconds, by everybody at once', async () => {
    issuer.mood = 'silent';
    const text = await issuer.token({ sub: 's1' });
    const waiting = Promise.allSettled(Array.from({ length: 100 }, () => read(text)));
    await expect.poll(() => issuer.requests).toBe(1);
    time.advance(5000);
    const results = await waiting;
    expect(results.every((result) => result.status === 'rejected')).toBe(true);
    expect(issuer.requests).toBe(1);
    expect(time.pendingTimers).toBe(0);
  });
});

describe('settings', () => {
  it('name issuers whose answers nobody can change on the way', () => {
    for (const bad of ['http://issuer.example', 'ftp://127.0.0.1', 'issuer', 'https://user:pass@issuer.example']) {
      expect(() => open('', [bad])).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
    expect(open('', ['kalamdb', 'https://issuer.example', 'http://localhost:1']).issuers).toEqual([
      'https://issuer.example',
      'http://localhost:1',
    ]);
  });
});

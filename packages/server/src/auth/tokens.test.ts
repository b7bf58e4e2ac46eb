import type { Account, Role } from '@kalamdb/engine';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, bearerToken } from './authenticator.ts';
import { Tokens } from './tokens.ts';

const secret = new TextEncoder().encode('a-secret-of-thirty-two-characters');
const START_SECONDS = 1_800_000_000;
let nowSeconds = START_SECONDS;
const clock = { now: () => nowSeconds * 1000, elapsed: () => nowSeconds * 1000 };
const open = (): Promise<Tokens> => Tokens.open({ secret, clock, expiryHours: 24 });
const alice = { userId: 'alice', role: 'user', email: undefined } as const;
const valid = { sub: 'alice', iss: 'kalamdb', iat: START_SECONDS, exp: START_SECONDS + 3600, role: 'user', token_type: 'access' };

function sign(claims: Record<string, unknown>, key: Uint8Array = secret): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(key);
}

function account(userId: string, role: Role, deletedAtMicros?: bigint): Account {
  return { userId, role, email: undefined, authType: 'Password', createdAtMicros: 0n, updatedAtMicros: 0n, deletedAtMicros };
}

beforeEach(() => {
  nowSeconds = START_SECONDS;
});

describe('tokens', () => {
  test('carry the claims that clients read', async () => {
    const { text, expiresAtSeconds } = await (await open()).issue({ ...alice, email: 'a@b.c' }, 'access');
    expect(decodeProtectedHeader(text)).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(decodeJwt(text)).toEqual({ ...valid, exp: START_SECONDS + 86_400, email: 'a@b.c' });
    expect(expiresAtSeconds).toBe(START_SECONDS + 86_400);
    const refresh = decodeJwt((await (await open()).issue(alice, 'refresh')).text);
    expect(refresh).toMatchObject({ exp: START_SECONDS + 7 * 86_400, token_type: 'refresh', email: null });
  });

  test('are read back, again and again, until a minute after they expire', async () => {
    const tokens = await open();
    const { text } = await tokens.issue(alice, 'access');
    nowSeconds += 86_400 + 59;
    await expect(tokens.read(text)).resolves.toMatchObject({ userId: 'alice', role: 'user', kind: 'access' });
    await expect(tokens.read(text)).resolves.toMatchObject({ userId: 'alice' });
    nowSeconds += 1;
    await expect(tokens.read(text)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
    await expect(tokens.read(text)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
  });

  test.each([
    ['another issuer', { ...valid, iss: 'https://issuer.example' }],
    ['issued in the future', { ...valid, iat: START_SECONDS + 61 }],
    ['not valid yet', { ...valid, nbf: START_SECONDS + 61 }],
    ['no expiry', { ...valid, exp: undefined }],
    ['no user', { ...valid, sub: undefined }],
    ['a role that is no text', { ...valid, role: 7 }],
  ])('are refused: %s', async (_what, claims) => {
    const text = await sign(claims);
    await expect((await open()).read(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
  });

  test('are refused when somebody else signed them, or nobody', async () => {
    const tokens = await open();
    const other = await sign(valid, new TextEncoder().encode('another-secret-of-thirty-two-char'));
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(valid)).toString('base64url')}.`;
    const tampered = `${(await sign(valid)).split('.').slice(0, 2).join('.')}.AAAA`;
    for (const text of [other, none, tampered, '', 'nonsense', 'not.a.token', 'x'.repeat(9000)]) {
      await expect(tokens.read(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    }
  });
});

describe('the stored user decides', () => {
  const users = new Map<string, Account>();
  const passwords = new Map<string, string>();
  const open2 = async (): Promise<Authenticator> =>
    new Authenticator({
      tokens: await open(),
      accounts: {
        find: (id) => users.get(id),
        passwordFingerprint: (id) => passwords.get(id) ?? '',
        loggedInByProvider: () => Promise.resolve(),
      },
      apiTokens: { check: () => ({ tokenId: 't', userId: 'alice' }), isValid: () => true },
      providers: undefined,
      warn: () => undefined,
    });

  beforeEach(() => {
    users.clear();
    users.set('alice', account('alice', 'user'));
  });

  test('a header must be there and be spelt right', async () => {
    const authenticator = await open2();
    const text = await sign(valid);
    await expect(authenticator.bearer(`Bearer ${text}`)).resolves.toEqual({ userId: 'alice', role: 'user' });
    expect(authenticator.bearer(`Bearer ${text}`)).toEqual({ userId: 'alice', role: 'user' });
    await expect(async () => authenticator.bearer(undefined)).rejects.toMatchObject({ code: 'NO_TOKEN' });
    for (const header of [`bearer ${text}`, `Basic ${text}`, 'Bearer ', 'Bearer', text]) {
      await expect(async () => authenticator.bearer(header)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    }
    expect(bearerToken(`Bearer  ${text} `)).toBe(text);
  });

  test('a changed role and a dropped user end an access token at once', async () => {
    const authenticator = await open2();
    const text = await sign(valid);
    const principal = await authenticator.access(text);
    users.set('alice', account('alice', 'service'));
    await expect(authenticator.access(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    expect(authenticator.isCurrent(principal)).toBe(false);
    users.set('alice', account('alice', 'user', 1n));
    await expect(authenticator.access(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    users.delete('alice');
    await expect(authenticator.access(text)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
  });

  test('each kind of token is good for its own purpose only', async () => {
    const authenticator = await open2();
    const refresh = await sign({ ...valid, token_type: 'refresh' });
    const untyped = await sign({ ...valid, token_type: undefined });
    await expect(authenticator.access(refresh)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    await expect(authenticator.access(untyped)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    await expect(authenticator.refresh(await sign(valid))).rejects.toThrow('Refresh endpoint requires a refresh token');
    users.set('alice', account('alice', 'dba'));
    await expect(authenticator.refresh(refresh)).rejects.toThrow('Token role does not match user role');
    users.delete('alice');
    await expect(authenticator.refresh(refresh)).rejects.toThrow('User no longer valid');
  });

  test('a refresh token ends with the password it was made under', async () => {
    passwords.set('alice', 'one');
    const authenticator = await open2();
    const { text } = await (await open()).issue({ ...alice, passwordFingerprint: 'one' }, 'refresh');
    await expect(authenticator.refresh(text)).resolves.toMatchObject({ userId: 'alice' });
    passwords.set('alice', 'two');
    await expect(authenticator.refresh(text)).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: 'Invalid credentials' });
    await expect(authenticator.refresh(await sign({ ...valid, token_type: 'refresh' }))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('an API token is what its user is now', async () => {
    const authenticator = await open2();
    expect(authenticator.bearer('Bearer kdb_x_y')).toEqual({ userId: 'alice', role: 'user', apiTokenId: 't' });
    users.set('alice', account('alice', 'dba'));
    expect(authenticator.bearer('Bearer kdb_x_y')).toMatchObject({ role: 'dba' });
    await expect(authenticator.session('kdb_x_y')).rejects.toMatchObject({ code: 'SESSION_REQUIRED' });
    users.set('alice', account('alice', 'dba', 1n));
    expect(() => authenticator.bearer('Bearer kdb_x_y')).toThrow(expect.objectContaining({ code: 'TOKEN_REFUSED' }));
  });
});

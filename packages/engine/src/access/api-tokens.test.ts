import { describe, expect, it } from 'vitest';
import { API_TOKENS } from '../catalog/system-tables/api-tokens.ts';
import { type AccessWorld, auditRows, openAccessWorld } from './access-world.fixture.ts';

const DAY_MILLIS = 86_400_000;
const alice = { userId: 'alice', role: 'user', address: '10.0.0.1' } as const;
const bob = { userId: 'bob', role: 'user' } as const;

/** Rows that are stored, tombstones included. */
function stored({ sequencer }: AccessWorld): readonly { readonly deleted: boolean }[] {
  return sequencer.snapshots.read((snapshot) => [...snapshot.view(API_TOKENS, API_TOKENS.partitionFor('')).scan()]);
}

describe('API tokens', () => {
  it('are good until they expire', async () => {
    const { apiTokens, time } = await openAccessWorld();
    const { text, token } = await apiTokens.create({ name: 'ci', expiresInDays: 2 }, alice);
    expect(apiTokens.check(text)).toEqual({ tokenId: token.tokenId, userId: 'alice' });
    time.advance(2 * DAY_MILLIS - 1);
    expect(apiTokens.check(text)).toMatchObject({ userId: 'alice' });
    expect(apiTokens.isValid(token.tokenId)).toBe(true);
    time.advance(1);
    expect(() => apiTokens.check(text)).toThrow(expect.objectContaining({ code: 'TOKEN_EXPIRED' }));
    expect(apiTokens.isValid(token.tokenId)).toBe(false);
  });

  it('live on over a restart, and so does their revocation', async () => {
    let world = await openAccessWorld();
    const kept = await world.apiTokens.create({ name: 'kept', expiresInDays: undefined }, alice);
    const gone = await world.apiTokens.create({ name: 'gone', expiresInDays: undefined }, alice);
    expect(await world.apiTokens.revoke(gone.token.tokenId, alice)).toBe(true);
    expect(await world.apiTokens.revoke(gone.token.tokenId, alice)).toBe(false);
    world = await world.reopen();
    expect(world.apiTokens.check(kept.text)).toMatchObject({ userId: 'alice' });
    expect(() => world.apiTokens.check(gone.text)).toThrow(expect.objectContaining({ code: 'TOKEN_REFUSED' }));
    expect(world.apiTokens.list('alice').map(({ name }) => name)).toEqual(['kept']);
  });

  it('are so many for each user; revoked and expired ones make room and leave no rows behind', async () => {
    const world = await openAccessWorld({ userApiTokensMax: 2 });
    const { apiTokens, time } = world;
    const create = (days?: number) => apiTokens.create({ name: 'x', expiresInDays: days }, alice);
    const first = await create();
    const second = await create(1);
    await expect(create()).rejects.toMatchObject({ code: 'TOO_MANY_TOKENS' });
    await apiTokens.create({ name: 'x', expiresInDays: undefined }, bob);
    time.advance(DAY_MILLIS);
    const third = await create();
    expect(() => apiTokens.check(second.text)).toThrow(expect.objectContaining({ code: 'TOKEN_REFUSED' }));
    expect(apiTokens.check(third.text)).toMatchObject({ userId: 'alice' });
    await apiTokens.revoke(first.token.tokenId, alice);
    for (let i = 0; i < 20; i++) await apiTokens.revoke((await create()).token.tokenId, alice);
    expect(stored(world)).toHaveLength(3);
    expect(
      apiTokens
        .list()
        .map(({ userId }) => userId)
        .sort(),
    ).toEqual(['alice', 'bob']);
  });

  it('made at the same time do not pass the bound', async () => {
    const { apiTokens } = await openAccessWorld({ userApiTokensMax: 3 });
    const made = await Promise.allSettled(
      Array.from({ length: 10 }, () => apiTokens.create({ name: 'x', expiresInDays: undefined }, alice)),
    );
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(apiTokens.list('alice')).toHaveLength(3);
  });

  it('say when they were last used, to the minute', async () => {
    const { apiTokens, sequencer, time } = await openAccessWorld();
    const { text, token } = await apiTokens.create({ name: 'ci', expiresInDays: undefined }, alice);
    const used = (): bigint | undefined => apiTokens.find(token.tokenId)?.lastUsedAtMicros;
    const start = BigInt(time.now()) * 1000n;
    apiTokens.check(text);
    await expect.poll(used).toBe(start);
    const watermark = sequencer.watermark;
    time.advance(59_999);
    for (let i = 0; i < 100; i++) apiTokens.check(text);
    await sequencer.flush();
    expect(sequencer.watermark).toBe(watermark);
    time.advance(1);
    apiTokens.check(text);
    await expect.poll(used).toBe(start + 60_000_000n);
  });

  it('are written down when they are made and revoked', async () => {
    const world = await openAccessWorld();
    const { text, token } = await world.apiTokens.create({ name: 'ci', expiresInDays: undefined }, alice);
    await world.apiTokens.revoke(token.tokenId, { userId: 'root', role: 'system' });
    const target = `api_token:${token.tokenId}`;
    expect(auditRows(world)).toEqual([
      { actor: 'alice', action: 'CREATE_API_TOKEN', target, details: 'ci', address: '10.0.0.1', subject: undefined },
      { actor: 'root', action: 'REVOKE_API_TOKEN', target, details: 'ci', address: undefined, subject: 'alice' },
    ]);
    expect(JSON.stringify(auditRows(world))).not.toContain(text.slice(-64));
  });
});

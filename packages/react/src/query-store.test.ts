import { Auth, createClient } from '@kalamdb/client';
import { describe, expect, it } from 'vitest';
import { QueryStore, queryName } from './query-store.ts';

describe('the name of a query', () => {
  it('is the same for what is the same, and another for what is another in SQL', () => {
    const name = (...params: readonly unknown[]): string => queryName({ sql: 'SELECT $1', options: { params } });
    const day = new Date(0);
    expect(name(1n, 'a', day)).toBe(name(1n, 'a', new Date(0)));
    const names = [name(), name(1), name('1'), name(1n), name(null), name(Number.NaN), name(day), name(day.toISOString()), name({ a: 1 })];
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('the open queries', () => {
  it('are those of one client, and of no other', () => {
    const make = () => createClient({ url: 'http://127.0.0.1:1', authProvider: async () => Auth.none() });
    const [one, other] = [make(), make()];
    expect(QueryStore.of(one)).toBe(QueryStore.of(one));
    expect(QueryStore.of(one)).not.toBe(QueryStore.of(other));
  });
});

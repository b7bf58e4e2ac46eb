import { expect, it } from 'vitest';
import { Markers } from './markers.ts';
import { runLeaks } from './run.ts';

it('a value that reaches somebody who may not have it is found', () => {
  const markers = new Markers();
  const alice = { name: 'alice', role: 'user' } as const;
  const bob = { name: 'bob', role: 'user' } as const;
  const own = markers.text({ place: { kind: 'owned', table: 'leak.u', column: 'txt', owner: alice }, sender: 'alice' });
  const count = markers.number({ place: { kind: 'shared', table: 'leak.prv', column: 'n', level: 'private' }, sender: 'sam' });
  const password = markers.text({ place: { kind: 'secret' }, sender: 'root' });
  markers.scan(alice, 'SQL', `{"txt":"${own}"}`);
  expect(markers.leaks).toEqual([]);
  markers.scan(bob, 'SQL', `{"txt":"${own.toUpperCase()}"}`);
  markers.scan(alice, 'SQL', `{"n":"${count}"}`);
  markers.scan({ name: 'root', role: 'system' }, 'SQL', password);
  expect(markers.leaks).toHaveLength(3);
});

it('every byte that leaves the server is for whom it is', async () => {
  const { leaks, scanned, seen, statuses } = await runLeaks({ seed: 1, statements: 500 });
  expect(leaks).toEqual([]);
  expect(seen).toBeGreaterThan(500);
  for (const status of [200, 400, 403]) expect(statuses.get(status) ?? 0, String(status)).toBeGreaterThan(20);
  for (const road of ['WebSocket, json', 'WebSocket, msgpack', 'log', 'anonymous', '/metrics', '/health/ready']) {
    expect(scanned.get(road) ?? 0, road).toBeGreaterThan(0);
  }
}, 120_000);

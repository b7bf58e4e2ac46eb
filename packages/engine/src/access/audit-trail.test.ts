import { describe, expect, it } from 'vitest';
import { AUDIT_LOG } from '../catalog/system-tables/audit-log.ts';
import { type AccessWorld, auditRows, openAccessWorld } from './access-world.fixture.ts';
import { NOTED_KEYS_MAX, REPEAT_WINDOW_MILLIS } from './audit-trail.ts';

const event = { actor: 'svc', action: 'EXECUTE_AS_USER', target: 'user:a', details: 'SELECT ?' };

const details = (world: AccessWorld): readonly unknown[] => auditRows(world).map((row) => row.details);

describe('noted events', () => {
  it('that are alike become one row at once and one that counts the others', async () => {
    const world = await openAccessWorld();
    for (let i = 0; i < 1000; i++) world.audit.note(event);
    expect(details(world)).toEqual([]);
    world.time.advance(100);
    await expect.poll(() => details(world)).toEqual(['SELECT ?']);
    world.time.advance(REPEAT_WINDOW_MILLIS);
    await expect.poll(() => details(world)).toEqual(['SELECT ?', 'SELECT ? (999 more like it)']);
    world.audit.note(event);
    await world.audit.close();
    expect(details(world)).toHaveLength(3);
  });

  it('are bounded however many different ones there are, and it is told how many are missing', async () => {
    const world = await openAccessWorld();
    for (let i = 0; i < NOTED_KEYS_MAX + 7; i++) world.audit.note({ ...event, target: `user:${i}` });
    await world.audit.close();
    expect(auditRows(world)).toHaveLength(NOTED_KEYS_MAX + 1);
    expect(auditRows(world).at(-1)).toMatchObject({ action: 'AUDIT_OVERFLOW', details: expect.stringMatching(/^7 events/) as string });
  });
});

describe('the log', () => {
  it('keeps the newest rows in the place of the oldest, each kind for itself, over restarts too', async () => {
    let world = await openAccessWorld({ auditRowsMax: 50 });
    const write = (from: number, to: number): Promise<void> =>
      world.commit((writer) => {
        for (let i = from; i < to; i++) world.audit.append(writer, { ...event, details: String(i) });
      });
    await write(0, 30);
    for (let i = 0; i < 300; i++) world.audit.note({ ...event, details: `noted ${i}` });
    await world.audit.close();
    expect(details(world).filter((text) => !String(text).startsWith('noted'))).toHaveLength(30);
    world = await world.reopen();
    await write(30, 120);
    expect(details(world)).toHaveLength(100);
    expect(details(world).slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, i) => `noted ${i + 250}`));
    expect(details(world).slice(50)).toEqual(Array.from({ length: 50 }, (_, i) => String(i + 70)));
  });

  it('has no row without what it tells of', async () => {
    const world = await openAccessWorld();
    const failed = world.commit((writer) => {
      world.audit.append(writer, event);
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(auditRows(world)).toEqual([]);
  });

  it('is found by no key that statements know', () => {
    expect(AUDIT_LOG.keyColumn).toBeUndefined();
  });
});

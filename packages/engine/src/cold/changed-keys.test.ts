import { systemClock, systemTimers } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import { expect, it } from 'vitest';
import type { ChangeSet } from '../contract.ts';
import { Slices } from '../slices/slices.ts';
import { CHANGED_KEYS_MAX, ChangedKeys } from './changed-keys.ts';

const partition: PartitionId = { tableId: 1000, owner: 'a' };
const ROWS = 100_000;

class Commits {
  readonly slices = new Slices({ clock: systemClock, timers: systemTimers });
  readonly #listeners = new Set<(change: ChangeSet) => void>();

  observe(listener: (change: ChangeSet) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  commit(of: PartitionId, from: number, rows: number): void {
    const made = Array.from({ length: rows }, (_, index) => ({
      key: `${from + index}` as RowKey,
      seq: 1n,
      createdSeq: 1n,
      deleted: false,
      cells: [],
      previous: undefined,
    }));
    for (const listener of this.#listeners) listener({ seq: 1n, parts: [{ partition: of, rows: made }], bytes: 0 });
  }
}

it('the keys of small and large commits are all told, large ones after they were noted in slices', async () => {
  const commits = new Commits();
  const changed = new ChangedKeys(partition, commits);
  commits.commit(partition, 0, 10);
  commits.commit({ tableId: 1000, owner: 'b' }, 500, 10);
  commits.commit(partition, 10, ROWS);
  // Not in one turn; whoever publishes sees that there is more to come.
  expect(changed.size).toBeGreaterThanOrEqual(ROWS + 10);
  const before = changed.take();
  expect(before.size).toBeLessThan(ROWS);
  await changed.noted();
  const after = changed.take();
  expect(new Set([...before, ...after]).size).toBe(ROWS + 10);
  expect(changed.size).toBe(0);
  changed.close();
  commits.commit(partition, 0, 10);
  expect(changed.size).toBe(0);
});

it('more keys than the bound are refused', async () => {
  const commits = new Commits();
  const changed = new ChangedKeys(partition, commits);
  for (let from = 0; from <= CHANGED_KEYS_MAX; from += ROWS) commits.commit(partition, from, ROWS);
  await changed.noted();
  expect(() => changed.take()).toThrow(expect.objectContaining({ code: 'WRITES_BUSY' }));
  changed.close();
});

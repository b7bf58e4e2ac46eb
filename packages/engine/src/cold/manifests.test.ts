import { emptyManifest, encodeManifest } from '@kalamdb/storage';
import { expect, it } from 'vitest';
import { MANIFESTS, manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { RowVersion } from '../contract.ts';
import { Manifests } from './manifests.ts';

function rowOf(owner: string, flushedSeq: bigint): RowVersion {
  const text = encodeManifest({ ...emptyManifest, version: 1, flushedSeq });
  const place = { storageId: 'local', folder: `app/t/${owner}/` };
  const state = { pending: undefined, dropped: [], createdAtMicros: 0n, updatedAtMicros: 0n };
  const cells = manifestRepository.toRow({ tableId: 7, owner, ...place, text, ...state });
  return { key: MANIFESTS.encodeKey([7n, owner]), seq: flushedSeq, createdSeq: 1n, deleted: false, cells };
}

it('the parsed manifests of many partitions take no more than their bound, and each is still read', () => {
  const charsMax = 1000;
  const manifests = new Manifests(charsMax);
  const owners = Array.from({ length: 100 }, (_, number) => `u${number}`);
  manifests.load(owners.map((owner) => rowOf(owner, 5n)));
  for (const owner of owners) {
    const manifest = manifests.read(rowOf(owner, 5n));
    expect(manifest?.flushedSeq).toBe(5n);
    expect(manifest === undefined ? undefined : manifests.placeOf(manifest).folder).toBe(`app/t/${owner}/`);
    expect(manifests.keptChars).toBeLessThanOrEqual(charsMax);
  }
  const last = owners.at(-1) ?? '';
  expect(manifests.read(rowOf(last, 5n))).toBe(manifests.read(rowOf(last, 5n)));
  expect(manifests.keptChars).toBeGreaterThan(0);
  expect(manifests.read(rowOf(owners[0] ?? '', 6n))?.flushedSeq).toBe(6n);
});

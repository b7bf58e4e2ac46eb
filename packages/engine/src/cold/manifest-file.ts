import { Buffer } from 'node:buffer';
import { type Manifest, type ObjectStore, publicManifest } from '@kalamdb/storage';
import type { ManifestRecord } from '../catalog/system-tables/manifests.ts';
import type { Table } from '../catalog/table.ts';

const MANIFEST_NAME = 'manifest.json';

/** A manifest with what its text says of table and owner. */
export interface ShownManifest {
  readonly table: Table;
  readonly record: Pick<ManifestRecord, 'owner' | 'createdAtMicros' | 'updatedAtMicros'>;
  readonly manifest: Manifest;
}

/** What users read of a manifest. */
export function manifestText({ table, record, manifest }: ShownManifest): string {
  return publicManifest(manifest, {
    tableId: `${table.namespace}.${table.name}`,
    userId: table.kind === 'user' ? record.owner : undefined,
    createdAtMillis: Number(record.createdAtMicros / 1000n),
    updatedAtMillis: Number(record.updatedAtMicros / 1000n),
    keyColumns: table.keyIndexes.flatMap((index) => table.storedColumns[index] ?? []),
  });
}

/** Writes the copy beside the segments, for people and tools: nothing reads it back. */
export async function writeManifestFile(store: ObjectStore, shown: ShownManifest & { readonly record: ManifestRecord }): Promise<void> {
  await store.put(manifestFileKey(shown.record), { bytes: Buffer.from(manifestText(shown)) });
}

/** The key of that copy. */
function manifestFileKey({ folder }: Pick<ManifestRecord, 'folder'>): string {
  return folder + MANIFEST_NAME;
}

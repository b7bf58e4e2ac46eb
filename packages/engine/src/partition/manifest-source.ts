import type { Manifest, PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet, RowVersion } from '../contract.ts';
import type { RowLayout } from './row-layout.ts';

/** Which partitions have segments, and where their manifests are: rows like any other, so that a snapshot has those of its watermark. */
export interface ManifestSource {
  /** How the rows of manifests are laid out. */
  readonly layout: RowLayout;
  /** Where they lie. */
  readonly partition: PartitionId;
  /** Whether a partition may have a manifest, at any watermark that can be read; quick, and false for most. */
  mayHave(partition: PartitionId): boolean;
  /** Takes in a commit that the watermark has passed; answers the partitions whose manifests it has changed. */
  observe(change: ChangeSet): readonly PartitionId[];
  /** Under what the manifest of a partition lies. */
  keyOf(partition: PartitionId): RowKey;
  /** The manifest of such a row; `undefined` for a tombstone. */
  read(row: RowVersion): Manifest | undefined;
}

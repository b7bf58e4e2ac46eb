import type { Clock, Timers } from '@kalamdb/protocol';
import type { FileSystem } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { EXPIRATIONS } from '../catalog/system-tables/expirations.ts';
import { MANIFESTS } from '../catalog/system-tables/manifests.ts';
import { ColdTier, type ColdTierSettings } from '../cold/cold-tier.ts';
import { Expirations } from '../cold/expirations.ts';
import type { Manifests } from '../cold/manifests.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import type { Storage } from './open-storage.ts';

/** What {@link openCold} needs. */
export interface ColdParts {
  readonly storage: Storage;
  readonly sequencer: Sequencer;
  readonly catalog: Catalog;
  readonly latches: LatchTable;
  readonly manifests: Manifests;
  readonly storages: StorageRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly files: FileSystem;
  readonly settings: ColdTierSettings | undefined;
  readonly warn: (text: string, detail: object) => void;
}

/** Reads which partitions have segments and opens what reads and writes them; a database in memory has none. */
export async function openCold({ storage, settings = {}, ...parts }: ColdParts): Promise<ColdTier | undefined> {
  const { sequencer, manifests } = parts;
  sequencer.snapshots.read((snapshot) => manifests.load(snapshot.view(MANIFESTS, manifests.partition).scan()));
  const { directory, hot } = storage;
  if (directory === undefined) return undefined;
  const expirations = new Expirations();
  sequencer.snapshots.read((snapshot) => expirations.load(snapshot.view(EXPIRATIONS, EXPIRATIONS.partitionFor('')).scan()));
  sequencer.observe((change) => expirations.observe(change));
  const cold = await ColdTier.open({ ...parts, expirations, hot, directory: directory.path, hotPath: directory.hotPath, settings });
  storage.onReopen(() => cold.letGo());
  return cold;
}

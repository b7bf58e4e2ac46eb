import type { Clock, Random, Timers } from '@kalamdb/protocol';
import type { FileSystem } from '@kalamdb/storage';
import { Backups } from '../backup/backups.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import type { Storage } from './open-storage.ts';

/** What {@link openBackups} needs. */
interface BackupParts {
  readonly storage: Storage;
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly storages: StorageRegistry;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** Makes what takes backups and restores them. Nothing is opened before there is something to do. */
export function openBackups({ storage, storages: stores, ...parts }: BackupParts): Backups {
  const { hot, log, directory } = storage;
  const backups = new Backups({ ...parts, stores, hot, directory, incarnation: log.incarnation });
  storage.onReopen(() => backups.letGo());
  return backups;
}

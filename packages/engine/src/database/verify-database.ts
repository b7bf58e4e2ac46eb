import { systemFiles, type VerifiedPart, type VerifiedRow, verifyDirectory } from '@kalamdb/storage';
import { droppedTableRepository } from '../catalog/system-tables/dropped-tables.ts';
import { manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { Repository } from '../catalog/system-tables/repository.ts';
import { storageRepository } from '../catalog/system-tables/storages.ts';
import { verifySegments } from './verify-segments.ts';

/**
 * Reads everything in a data directory that no server has open, and the segments of its tables wherever they lie, and answers what was
 * found of each part: of the cold tier every file that is damaged or missing. Rows are not changed. Throws DIRECTORY_LOCKED, FORMAT_UNKNOWN
 * and STORAGE_UNAVAILABLE.
 */
export function verifyDatabase(directory: string): Promise<readonly VerifiedPart[]> {
  return verifyDirectory(directory, systemFiles, {
    partitions: [manifestRepository, storageRepository, droppedTableRepository].map(({ partition }) => partition),
    check: (rows) => {
      const records = <R>(repository: Repository<R>): readonly R[] => recordsOf(repository, rows(repository.partition));
      // Of a dropped table some files may be gone already.
      const dropped = new Set(records(droppedTableRepository).map(({ tableId }) => tableId));
      const manifests = records(manifestRepository).filter(({ tableId }) => !dropped.has(tableId));
      const storages = new Map(records(storageRepository).map((storage) => [storage.storageId, storage]));
      return verifySegments({ directory, manifests, storages }, systemFiles);
    },
  });
}

function recordsOf<R>(repository: Repository<R>, rows: readonly VerifiedRow[]): readonly R[] {
  return rows.flatMap(({ deleted, bytes }) => (deleted ? [] : [repository.read({ cells: repository.table.codec.decode(bytes) })]));
}

import { systemTimers } from '@kalamdb/protocol';
import type { HotSnapshot } from '../contract.ts';
import { LmdbSnapshot } from './lmdb-snapshot.ts';
import { mapBytesDefault, openTables } from './lmdb-tables.ts';
import { ReadTransactions } from './read-transactions.ts';

/** The hot tier as another thread reads it, beside the store that the main thread has open on the same folder. */
export interface HotReader {
  /** A view of the newest durable batch, which may be newer than the one that the main thread knows of. */
  snapshot(): HotSnapshot;
  /** Ends every view and the handle. */
  close(): Promise<void>;
}

/** Options of {@link openLmdbReader}. */
export interface HotReaderOptions {
  /** How long a view may be read, {@link supersededMillisMax} unless given. Pages that it sees are not used again meanwhile: the file grows with what is written. */
  readonly viewMillisMax?: number | undefined;
}

/** Opens a handle for reading in a folder that an LmdbStore of this process has open. */
export function openLmdbReader(path: string, { viewMillisMax }: HotReaderOptions = {}): HotReader {
  const tables = openTables(path, { mapBytes: mapBytesDefault, readOnly: true });
  const transactions = new ReadTransactions(tables, systemTimers, viewMillisMax);
  return {
    snapshot: () => {
      const view = new LmdbSnapshot(tables, transactions.current());
      // Nobody tells this thread when the hot tier moves on, so each view has a transaction of its own, which ends with it.
      transactions.moveOn();
      return view;
    },
    close: async () => {
      transactions.close();
      await tables.root.close();
    },
  };
}

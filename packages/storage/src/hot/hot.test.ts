import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hotConformance } from './hot.conformance.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { openMemoryStore } from './memory-store.ts';

hotConformance('memory', async () => ({ open: async () => openMemoryStore(), outlives: false, dispose: async () => undefined }), 150);

hotConformance(
  'LMDB',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kalamdb-hot-'));
    return {
      open: () => openLmdbStore({ path: join(directory, 'hot') }),
      outlives: true,
      dispose: () => rm(directory, { recursive: true, force: true }),
    };
  },
  5,
);

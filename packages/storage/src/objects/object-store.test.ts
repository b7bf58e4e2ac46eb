import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@kalamdb/protocol';
import { afterAll } from 'vitest';
import { systemFiles } from '../files/file-system.ts';
import { openFilesystemStore } from './filesystem-store.ts';
import { openMemoryObjectStore } from './memory-object-store.ts';
import { describeObjectStore } from './object-store.conformance.ts';

const root = mkdtempSync(join(tmpdir(), 'kalamdb-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describeObjectStore({
  name: 'in memory',
  isLocal: false,
  largeBytes: 3_000_000,
  runs: 100,
  open: async () => openMemoryObjectStore({ storage: 'memory', files: systemFiles }),
});

describeObjectStore({
  name: 'in a folder',
  isLocal: true,
  largeBytes: 3_000_000,
  runs: 40,
  open: () =>
    openFilesystemStore({ storage: 'disk', root: join(root, 'deep', 'store'), files: systemFiles, random: systemRandom, owner: 'test' }),
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { systemFiles } from '../files/file-system.ts';
import { openFileLog } from './file-log.ts';
import { logConformance } from './log.conformance.ts';
import { memoryLogImage, openMemoryLog } from './memory-log.ts';

logConformance('memory', async () => {
  const image = memoryLogImage(systemRandom);
  return { open: async (startSeq) => openMemoryLog({ random: systemRandom, startSeq, image }), dispose: async () => undefined };
});

logConformance('files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kalamdb-log-'));
  return {
    open: (startSeq) =>
      openFileLog({
        directory: join(directory, 'log'),
        files: systemFiles,
        timers: systemTimers,
        random: systemRandom,
        startSeq,
        fileBytes: 16_384,
      }),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});

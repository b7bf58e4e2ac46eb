// Loaded into the server under test before its own code, with `--expose-gc`. On SIGUSR2 it collects garbage and writes what is
// left, as JSON, beside the server's settings file.

import { renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** In which V8 gives back the buffers that a collection has found, beside the program. */
const SWEEP_MILLIS = 300;

process.on('SIGUSR2', async () => {
  for (let collection = 0; collection < 3; collection++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, SWEEP_MILLIS));
  }
  const file = join(dirname(process.argv.at(-1) ?? '.'), 'memory.json');
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()));
  renameSync(`${file}.new`, file);
});

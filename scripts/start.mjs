// `npm start [-- config.toml --flags]`: installs and builds if needed, then serves.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from './setup.mjs';

ensureInstalled();
ensureBuilt();

// glibc keeps what threads have freed unless told otherwise: docs/operating.md.
const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576', ...process.env };
const server = spawn(process.execPath, [join(root, 'packages/server/dist/main.cjs'), ...process.argv.slice(2)], { env, stdio: 'inherit' });
// The terminal sends an interrupt to both; the server drains, and this process ends with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => server.kill(signal));
// npm's shell does not pass a signal on: when it is gone, so is the one who asked for a server.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) server.kill('SIGTERM');
}, 500).unref();
server.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));

// Makes a fresh clone ready: installs what the lock file names when it has changed, and builds what is out of date.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The repository's root. */
export const root = join(import.meta.dirname, '..');

const installed = join(root, 'node_modules', '.installed-lock-hash');

/** Runs a command in the root with its output shown; ends this process with its code when it fails. */
export function run(command, args, options = {}) {
  const { status, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status !== 0) {
    console.error(`${command} ${args.join(' ')} failed (${signal ?? `exit code ${status}`})`);
    process.exit(status ?? 1);
  }
}

/** Installs the dependencies unless the installed ones are those of the lock file. */
export function ensureInstalled() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === wanted) return;
  console.log('Installing dependencies …');
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(installed, wanted);
}

/** Builds the packages; does next to nothing when they are up to date. */
export function ensureBuilt() {
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--build']);
}

// `npm run differential [-- --seed n --queries n]`: installs and builds if needed, then plays the long differential test of the two executors.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/differential/main.js'), ...process.argv.slice(2)]);

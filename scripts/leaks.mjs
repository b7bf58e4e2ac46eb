// `npm run leaks [-- --seed n --statements n]`: installs and builds if needed, then plays the long form of the leak oracle.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/leaks/main.js'), ...process.argv.slice(2)]);

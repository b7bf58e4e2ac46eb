// `npm run model [-- --seeds n --statements n --placement any|hot|cold]`: installs and builds if needed, then plays the long model test.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/model/main.js'), ...process.argv.slice(2)]);

// `npm run bench [-- --mode sync|relaxed --seconds n --curves --cold --rows n --partitions n]`: installs and builds if needed, then measures.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'bench/dist/main.js'), ...process.argv.slice(2)]);

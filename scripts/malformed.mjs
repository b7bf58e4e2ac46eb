// `npm run malformed [-- --count n --seed n --only case]`: installs and builds if needed, then plays the long run of malformed requests and frames.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/malformed/main.js'), ...process.argv.slice(2)]);

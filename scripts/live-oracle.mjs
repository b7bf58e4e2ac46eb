// `npm run live-oracle [-- --seeds n --statements n --seed n --minutes n]`: installs and builds if needed, then plays the long form of the oracle of
// live queries: 20 seeds, 100,000 statements. With `--minutes` seed after seed until the time is over.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/live-oracle/main.js'), ...process.argv.slice(2)]);

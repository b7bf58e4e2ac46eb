// `npm run grammar [-- --seed n --statements n]`: installs and builds if needed, then plays the long grammar test.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/grammar/main.js'), ...process.argv.slice(2)]);

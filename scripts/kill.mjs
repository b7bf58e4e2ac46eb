// `npm run kill [-- --rounds n --seed n --durability sync|relaxed --placement any|hot]`: installs and builds if needed, then plays the long kill test.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/kill/main.js'), ...process.argv.slice(2)]);

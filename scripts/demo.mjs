// `npm run demo`: installs and builds if needed, then plays the demo.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'demo/dist/main.js'), ...process.argv.slice(2)]);

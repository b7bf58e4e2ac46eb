// `npm run long-answers [-- --rows n]`: installs and builds if needed, then reads long answers and tells what they take.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/long-answers/main.js'), ...process.argv.slice(2)]);

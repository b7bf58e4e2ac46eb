// `npm run hostile [-- --seeds n --rounds n --seed n]`: installs and builds if needed, then plays clients behind a hostile network, 20 seeds.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/client-hostile/main.js'), ...process.argv.slice(2)]);

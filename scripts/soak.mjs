// `npm run soak [-- --minutes n --seed n]`: installs and builds if needed, then lets a server work under churn and judges whether its memory, handles
// and latency stay what they are. 60 minutes.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/soak/main.js'), ...process.argv.slice(2)]);

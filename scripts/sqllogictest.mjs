// `npm run sqllogictest -- --dir ../shared/sqllogictest [--only select1 --sample 0.1 --seed n --in-process]`: installs and builds if needed, then
// plays a corpus of sqllogictest files against a server.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/sqllogictest/main.js'), ...process.argv.slice(2)]);

// `npm run sqllogictest -- --dir ../shared/sqllogictest [--only select1 --sample 0.1 --seed n --placement hot|cold|half --in-process]`:
// installs and builds if needed, then plays a corpus of sqllogictest files against a server, with its rows where they are told to lie.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './setup.mjs';

ensureInstalled();
ensureBuilt();
run(process.execPath, [join(root, 'e2e/dist/sqllogictest/main.js'), ...process.argv.slice(2)]);

// `npm run engine-model [-- --seeds n --statements n --placement any|hot|cold]`: the long form of the engine's model tests: sessions, transactions, backups. With
// `any` the rows of some seeds move into segments; `hot`: of none, `cold`: of all.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled, root } from './setup.mjs';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    statements: { type: 'string', default: '100000' },
    placement: { type: 'string', default: 'any' },
  },
});
ensureInstalled();
ensureBuilt();

const ORACLES = ['database/engine-model', 'transaction/snapshot-isolation', 'database/backup-model', 'database/backup-faults'];
const scratch = mkdtempSync(join(tmpdir(), 'kalamdb-engine-model-'));
let failed = false;
for (const name of ORACLES) {
  const oracle = `packages/engine/src/${name}.test.ts`;
  const report = join(scratch, 'counts.jsonl');
  const env = {
    ...process.env,
    KALAMDB_MODEL_SEEDS: flags.seeds,
    KALAMDB_MODEL_STATEMENTS: flags.statements,
    KALAMDB_MODEL_PLACEMENT: flags.placement,
    KALAMDB_MODEL_REPORT: report,
  };
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const { status } = spawnSync(process.execPath, [vitest, 'run', oracle], { cwd: root, stdio: 'inherit', env });
  if (status !== 0) {
    failed = true;
    continue;
  }
  const totals = {};
  const lines = existsSync(report) ? readFileSync(report, 'utf8').trim().split('\n') : [];
  for (const line of lines) {
    for (const [what, count] of Object.entries(JSON.parse(line))) totals[what] = (totals[what] ?? 0) + count;
  }
  rmSync(report, { force: true });
  console.log(`${oracle}: ${flags.seeds} seeds, no difference`, totals);
}
rmSync(scratch, { recursive: true, force: true });
process.exit(failed ? 1 : 0);

// What CI runs: the tests, the type check, the linter and, where the recorded exchanges are at hand, their replay.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from './setup.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'kalamdb-ci-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

let passed = 0;
let failed = 0;

function step(name, command, args) {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  return status === 0;
}

/** Adds the counts that a step has written; a step that wrote none counts as one failure. */
function count(file, names, ok) {
  const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  passed += report[names.passed] ?? 0;
  failed += report[names.failed] ?? 0;
  if (!ok && (report[names.failed] ?? 0) === 0) failed += 1;
}

function check(name, command, args) {
  if (step(name, command, args)) passed += 1;
  else failed += 1;
}

/** Installs a Chromium for the tests of the client in a browser, where this can be done; without one they are left out. */
function ensureChromium() {
  const there = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
  if (['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].some(there)) return;
  const install = 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium';
  if (process.getuid?.() !== 0 || !there('apt-get'))
    console.log('\n== Chromium: not here, and cannot be installed; its tests are left out');
  else if (!step('Chromium', 'sh', ['-c', `(${install}) > ${scratch}/chromium.log 2>&1`]))
    console.log('Chromium could not be installed; its tests are left out');
}

/** Builds the S3 server that the tests of object stores speak to, where there is Go; without one they are left out. Kept between runs. */
function ensureS3Server() {
  if (process.env.KALAMDB_TEST_S3_SERVER !== undefined) return;
  const folder = join(root, 'node_modules', '.cache', 'versitygw-1.8.0');
  const program = join(folder, 'versitygw');
  const env = { ...process.env, GOBIN: folder };
  const install = ['install', 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'];
  if (!existsSync(program) && spawnSync('go', ['version']).status !== 0) {
    console.log('\n== S3 server: not here, and there is no Go to build it; its tests are left out');
    return;
  }
  if (!existsSync(program)) {
    console.log('\n== S3 server');
    const { status } = spawnSync('go', install, { env, stdio: ['ignore', 'inherit', 'inherit'], timeout: 600_000 });
    if (status !== 0) console.log('The S3 server could not be built; its tests are left out');
  }
  if (existsSync(program)) process.env.KALAMDB_TEST_S3_SERVER = program;
}

ensureInstalled();
ensureBuilt();
ensureChromium();
ensureS3Server();

const tests = join(scratch, 'tests.json');
const testsOk = step('tests', 'npm', ['test', '--', '--reporter=default', '--reporter=json', `--outputFile.json=${tests}`]);
count(tests, { passed: 'numPassedTests', failed: 'numFailedTests' }, testsOk);

check('types', 'npm', ['run', 'typecheck', '--silent']);
check('lint', 'npm', ['run', 'lint', '--silent']);

if (existsSync(join(root, '../shared/golden/replay.mjs'))) {
  const golden = join(scratch, 'golden.json');
  const goldenOk = step('recorded exchanges', process.execPath, ['scripts/golden.mjs', '--json', golden]);
  count(golden, { passed: 'passed', failed: 'failed' }, goldenOk);
} else {
  console.log('\n== recorded exchanges: not at hand, left out');
}

if (existsSync(join(root, '../shared/sqllogictest'))) {
  // The same answers wherever rows lie. All of it with cold rows takes minutes: `npm run sqllogictest -- --placement cold` and `half`.
  for (const [placement, sample] of Object.entries({ hot: '1', cold: '0.3', half: '0.15' })) {
    const corpus = join(scratch, `sqllogictest-${placement}.json`);
    const where = ['--dir', '../shared/sqllogictest', '--placement', placement, '--sample', sample, '--json', corpus];
    const corpusOk = step(`public SQL corpus, rows ${placement}`, process.execPath, ['scripts/sqllogictest.mjs', ...where]);
    count(corpus, { passed: 'passed', failed: 'failed' }, corpusOk);
  }
} else {
  console.log('\n== public SQL corpus: not at hand, left out');
}

console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

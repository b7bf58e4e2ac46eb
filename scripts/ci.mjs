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

ensureInstalled();
ensureBuilt();
ensureChromium();

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
  const corpus = join(scratch, 'sqllogictest.json');
  const corpusOk = step('public SQL corpus', process.execPath, [
    'scripts/sqllogictest.mjs',
    '--dir',
    '../shared/sqllogictest',
    '--json',
    corpus,
  ]);
  count(corpus, { passed: 'passed', failed: 'failed' }, corpusOk);
} else {
  console.log('\n== public SQL corpus: not at hand, left out');
}

console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

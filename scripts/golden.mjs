// Replays the recorded exchanges against a server of each profile and holds the result to e2e/golden-gaps.json: a scenario
// that fails must be listed there with its reason, and one that passes must not be.
//
// node scripts/golden.mjs [--only a,b] [--json FILE]

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ServerProcess } from '../packages/testing/dist/index.js';
import { root } from './setup.mjs';

const golden = join(root, '../shared/golden');
const { values: flags } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'string' }, verbose: { type: 'boolean' } } });

const PROFILES = ['default', 'setup', 'limits'];

/** The settings the exchanges were recorded under, but for the query limits, which are off; there was no `/metrics`. */
function settings(profile) {
  const limited = profile === 'limits';
  return `
[metrics]
enabled = false
[limits]
max_query_limit = 0
default_query_limit = 0
[rate_limit]
max_queries_per_sec = ${limited ? 5 : 100_000}
max_messages_per_sec = ${limited ? 5 : 1000}
max_subscriptions_per_user = 10
max_auth_requests_per_ip_per_sec = ${limited ? 3 : 1000}
enable_connection_protection = false
[websocket]
client_timeout_secs = 10
auth_timeout_secs = 3
heartbeat_interval_secs = 5
[auth]
bcrypt_cost = 4
jwt_secret = "golden-transcripts-secret-of-more-than-32-characters"
`;
}

function replay(profile, url, folder) {
  const json = join(folder, 'result.json');
  const args = [join(golden, 'replay.mjs'), '--url', url, '--profile', profile, '--modules', join(root, 'node_modules'), '--json', json];
  if (flags.only !== undefined) args.push('--only', flags.only);
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  if (!existsSync(json)) throw new Error(`the replay ended without a result:\n${stdout}`);
  return { text: stdout, scenarios: JSON.parse(readFileSync(json, 'utf8')).scenarios };
}

/** The part of the replay's text that tells of one scenario. */
function detail(text, name) {
  const lines = text.split('\n');
  const start = lines.indexOf(`FAIL  ${name}`);
  if (start < 0) return '';
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('      '));
  return lines.slice(start, end).join('\n');
}

const gaps = JSON.parse(readFileSync(join(root, 'e2e/golden-gaps.json'), 'utf8'));
let passed = 0;
let failed = 0;
let known = 0;
for (const profile of PROFILES) {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-golden-'));
  const rootPassword = profile === 'setup' ? undefined : 'kalamdb123';
  const server = await ServerProcess.start({ folder, rootPassword, settings: settings(profile) });
  try {
    const { text, scenarios } = replay(profile, server.url, folder);
    for (const { name, ok } of scenarios) {
      if (ok && gaps[name] === undefined) passed += 1;
      else if (!ok && gaps[name] !== undefined) known += 1;
      else {
        failed += 1;
        console.log(ok ? `${name} passes now: take it out of e2e/golden-gaps.json` : detail(text, name));
      }
      if (flags.verbose && !ok && gaps[name] !== undefined) console.log(detail(text, name));
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
console.log(`recorded exchanges: ${passed} green, ${known} listed as gaps, ${failed} wrong`);
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify({ passed, failed, known }));
process.exit(failed > 0 ? 1 : 0);

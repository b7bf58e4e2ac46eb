// `npm run demo`: a server on a temporary directory, the world's cities loaded through the client, queries on them, and a
// chat between two users and a shared lobby, each printing what it sees as it happens.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { playChat } from './chat.ts';
import { loadCities, queryCities } from './cities.ts';
import { connectAs, demoPassword } from './people.ts';

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-demo-'));
const rootPassword = demoPassword();
const server = await ServerProcess.start({
  folder,
  durability: 'sync',
  rootPassword,
  settings: '[rate_limit]\nmax_queries_per_sec = 100000\n',
});
console.log(`A server of its own is running at ${server.url} (durability sync, data in a temporary directory).`);
try {
  const root = connectAs(server.url, { user: 'root', password: rootPassword });
  const chat = playChat(server.url, root);
  await loadCities(root);
  await queryCities(root);
  await chat;
  await root.shutdown();
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
console.log('Done: the server has stopped and its directory is gone.');

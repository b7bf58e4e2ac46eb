import type { ServerConfig } from './config/settings.ts';
import type { RunningServer } from './server.ts';
import { VERSION } from './version.ts';

/** The text a person sees when the server is ready: what runs, where its data is, and what to do next. */
export function banner(server: RunningServer, config: ServerConfig): string {
  const memory = config['storage.data_path'] === ':memory:';
  const mode =
    config['storage.durability'] === 'sync'
      ? 'sync (a write is acknowledged when it is on the disk)'
      : 'relaxed (a write survives a killed process, not a power cut)';
  const lines = [
    `KalamDB ${VERSION} is ready`,
    `  URL         ${server.url}`,
    `  Data        ${memory ? 'in memory: gone when the server stops' : config['storage.data_path']}`,
    `  Durability  ${memory ? 'none' : mode}`,
    '',
    ...(server.needsSetup ? setupSteps(server.url) : loginSteps(server.url)),
  ];
  return `${lines.join('\n')}\n`;
}

function setupSteps(url: string): readonly string[] {
  return [
    'Next: choose passwords for root and for your own account (8 characters or more).',
    '',
    `  curl -X POST ${url}/v1/api/auth/setup -H 'Content-Type: application/json' \\`,
    `    -d '{"user":"admin","password":"<your password>","root_password":"<root password>"}'`,
    '',
  ];
}

function loginSteps(url: string): readonly string[] {
  return [
    'Next: log in; the answer holds the access token for /v1/api/sql and /v1/ws.',
    '',
    `  curl -X POST ${url}/v1/api/auth/login -H 'Content-Type: application/json' \\`,
    `    -d '{"user":"<user>","password":"<password>"}'`,
    '',
  ];
}

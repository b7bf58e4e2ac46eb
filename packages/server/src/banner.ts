import { resolve } from 'node:path';
import { isLoopback } from './auth/client-address.ts';
import type { ServerConfig } from './config/settings.ts';
import type { RunningServer } from './server.ts';
import { VERSION } from './version.ts';

/** What the banner tells of. */
export interface BannerParts {
  readonly server: RunningServer;
  readonly config: ServerConfig;
  /** The settings file that was read. */
  readonly file: string | undefined;
}

/** The text a person sees when the server is ready: what runs, where its data is, and what to do next. */
export function banner({ server, config, file }: BannerParts): string {
  const memory = config['storage.data_path'] === ':memory:';
  const mode =
    config['storage.durability'] === 'sync'
      ? 'sync (a write is acknowledged when it is on the disk)'
      : 'relaxed (a write survives a killed process, not a power cut)';
  const origin = config['server.public_origin'];
  const lines = [
    `KalamDB ${VERSION} is ready`,
    `  URL         ${server.url}`,
    ...(origin === '' ? [] : [`  Public URL  ${origin}`]),
    ...(isOpen(config)
      ? ['  Network     open to other machines, without TLS: put a proxy in front that has it, or set server.tls_cert_file']
      : []),
    `  Settings    ${file ?? 'no file; --print-config shows them, docs/settings.md explains them'}`,
    `  Data        ${memory ? 'in memory: gone when the server stops' : resolve(config['storage.data_path'])}`,
    `  Durability  ${memory ? 'none' : mode}`,
    '',
    ...(server.needsSetup ? setupSteps(server.url) : loginSteps(server.url)),
  ];
  return `${lines.join('\n')}\n`;
}

/** Whether passwords and tokens could be read on the way. */
function isOpen(config: ServerConfig): boolean {
  return !isLoopback(config['server.host']) && config['server.tls_cert_file'] === '';
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

import { KalamError } from '@kalamdb/protocol';
import { isLoopback, trustedProxies } from '../auth/client-address.ts';
import { foreignIssuers } from '../auth/oidc-tokens.ts';
import type { ServerConfig, SettingName } from './settings.ts';

/** Shortest secret that signs tokens on a server that others can reach. */
const JWT_SECRET_CHARACTERS_MIN = 32;

/** Why a server cannot start with settings each of which is of its kind: they do not go together, or the part they are for refuses them. */
export function contradictions(config: ServerConfig): readonly string[] {
  const found: string[] = [];
  const secret = config['auth.jwt_secret'];
  const host = config['server.host'];
  if (secret !== '' && !isLongSecret(secret) && !isLoopback(host)) {
    found.push(
      `auth.jwt_secret is shorter than ${JWT_SECRET_CHARACTERS_MIN} characters, which is only accepted on a loopback address (server.host is '${host}')`,
    );
  }
  if ((config['server.tls_cert_file'] === '') !== (config['server.tls_key_file'] === '')) {
    found.push('server.tls_cert_file and server.tls_key_file must be given together');
  }
  const own = config['server.public_origin'];
  if (own !== '' && !isOrigin(own)) found.push(`server.public_origin must be an origin such as https://db.example.com, not '${own}'`);
  if (config['auth.min_password_length'] > config['auth.max_password_length']) {
    found.push('auth.min_password_length must not be greater than auth.max_password_length');
  }
  for (const check of [
    () => trustedProxies(config['security.trusted_proxy_ranges']),
    () => foreignIssuers(config['auth.jwt_trusted_issuers']),
  ]) {
    const problem = problemOf(check);
    if (problem !== undefined) found.push(problem);
  }
  return found;
}

/** What a check throws that the part of the server has which the settings are for. */
function problemOf(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof KalamError && error.code === 'CONFIG_INVALID') return error.message.replace(/^Configuration: /, '');
    throw error;
  }
}

/** What can be used and is hardly what was meant. `isGiven`: whether a setting has been set. */
export function oddities(config: ServerConfig, isGiven: (name: SettingName) => boolean): readonly string[] {
  const found = config['security.cors.allowed_origins']
    .filter((origin) => origin !== '*' && origin !== 'null' && !isOrigin(origin))
    .map((origin) => `security.cors.allowed_origins: '${origin}' is no origin such as https://app.example.com; no page has it`);
  const sockets = config['websocket.max_connections'];
  const all = config['performance.max_connections'];
  if (sockets > all && isGiven('websocket.max_connections')) {
    found.push(`websocket.max_connections (${sockets}) is never reached: performance.max_connections (${all}) counts WebSockets too`);
  }
  const secret = config['auth.jwt_secret'];
  if (secret !== '' && !isLongSecret(secret)) {
    found.push(
      `auth.jwt_secret is shorter than ${JWT_SECRET_CHARACTERS_MIN} characters: whoever guesses it is everybody, also through a proxy`,
    );
  }
  return found;
}

function isLongSecret(secret: string): boolean {
  return [...secret].length >= JWT_SECRET_CHARACTERS_MIN;
}

/** A scheme, a host, maybe a port, and nothing behind. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]+\/?$/i.test(text);
}

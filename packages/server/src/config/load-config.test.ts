import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadConfig, readConfig } from './load-config.ts';
import { ORIGINAL_FILE } from './original-file.fixture.ts';
import { SETTING_NAMES, SETTING_SPECS } from './settings.ts';

const file = (text: string): { path: string; text: string } => ({ path: 'server.toml', text });

describe('sources of settings', () => {
  test('later sources win: file, environment, flags, overrides', () => {
    const sources = {
      file: file('[server]\nport = 1\nhost = "127.0.0.2"\n[storage]\ndurability = "relaxed"\n'),
      environment: { KALAMDB_SERVER_PORT: '2' },
      flags: { 'server.port': '3' },
    };
    expect(loadConfig({}).config['server.port']).toBe(8080);
    expect(loadConfig({ file: sources.file }).config['server.port']).toBe(1);
    expect(loadConfig({ file: sources.file, environment: sources.environment }).config['server.port']).toBe(2);
    expect(loadConfig(sources).config['server.port']).toBe(3);
    const { config } = loadConfig({ ...sources, overrides: { 'server.port': 4 } });
    expect([config['server.port'], config['server.host'], config['storage.durability']]).toEqual([4, '127.0.0.2', 'relaxed']);
  });

  test('the auth section has two names', () => {
    expect(loadConfig({ file: file('[authentication]\njwt_expiry_hours = 2') }).config['auth.jwt_expiry_hours']).toBe(2);
    expect(loadConfig({ file: file('[auth]\njwt_expiry_hours = 3') }).config['auth.jwt_expiry_hours']).toBe(3);
  });

  test('nested sections and lists', () => {
    const { config } = loadConfig({ file: file('[security.cors]\nallowed_origins = ["https://a.example"]\n') });
    expect(config['security.cors.allowed_origins']).toEqual(['https://a.example']);
    const { config: other } = loadConfig({
      environment: { KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS: 'https://a.example, https://b.example' },
    });
    expect(other['security.cors.allowed_origins']).toEqual(['https://a.example', 'https://b.example']);
  });

  test('every text of an integer setting is an integer in bounds or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer().map(String), fc.string()), (text) => {
        try {
          const port = loadConfig({ environment: { KALAMDB_SERVER_PORT: text } }).config['server.port'];
          expect(Number.isInteger(port) && port >= 0 && port <= 65535).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
        }
      }),
    );
  });
});

describe('what is refused and what is only said', () => {
  test('unknown keys are warnings with the nearest known key', () => {
    const { warnings } = loadConfig({ file: file('[server]\nprot = 1\n[zoo]\nlions = 2\n') });
    expect(warnings).toEqual([
      "unknown setting 'server.prot' in server.toml; did you mean 'server.port'?",
      "unknown setting 'zoo.lions' in server.toml",
    ]);
  });

  test('settings of the original without a meaning here are accepted', () => {
    const text =
      '[server]\nworkers = 0\nenable_http2 = true\n[flush]\ndefault_row_limit = 1\n[storage.rocksdb]\nx = 1\n[rate_limit]\nenable_connection_protection = false';
    expect(loadConfig({ file: file(text) }).warnings).toEqual([]);
  });

  test('a full file of the original is usable as it is', () => {
    const { config, warnings } = loadConfig({ file: file(ORIGINAL_FILE) });
    expect(warnings).toEqual([]);
    expect(config['auth.jwt_trusted_issuers']).toEqual(['https://accounts.example.com', 'https://login.example.com']);
    expect(config['limits.default_query_limit']).toBe(50);
    expect(config['transaction_timeout_secs']).toBe(120);
  });

  test('a setting may have its other name of the original', () => {
    const { config } = loadConfig({ file: file('[security]\nmax_request_body_size = 5000') });
    expect(config['rate_limit.request_body_limit_bytes']).toBe(5000);
  });

  test('unknown variables are warnings with the nearest known one; those of the original and of tools are not', () => {
    const environment = {
      KALAMDB_SERVER_PROT: '1',
      KALAMDB_ZOO: '1',
      KALAMDB_CLUSTER_ID: '1',
      KALAMDB_BENCH_HTTP2: '1',
      PATH: '/bin',
    };
    expect(loadConfig({ environment }).warnings).toEqual([
      "unknown environment variable KALAMDB_SERVER_PROT; did you mean 'KALAMDB_SERVER_PORT'?",
      'unknown environment variable KALAMDB_ZOO',
    ]);
  });

  test('every problem is told, not only the first', () => {
    const sources = {
      file: file('[server]\nport = "x"\ntls_cert_file = "c.pem"\n'),
      environment: { KALAMDB_STORAGE_DURABILITY: 'maybe' },
      flags: { 'server.prot': '1' },
    };
    const { problems } = readConfig(sources);
    expect(problems).toEqual([
      "server.port (from server.toml) must be an integer from 0 to 65535, not 'x'",
      "storage.durability (from KALAMDB_STORAGE_DURABILITY) must be one of sync, relaxed, not 'maybe'",
      "unknown setting 'server.prot' in the command line; did you mean 'server.port'?",
      'server.tls_cert_file and server.tls_key_file must be given together',
    ]);
    for (const problem of problems) expect(() => loadConfig(sources)).toThrow(problem);
  });

  test('what is hardly meant is warned about', () => {
    const sockets = { 'websocket.max_connections': 50_000 } as const;
    expect(loadConfig({ overrides: sockets }).warnings).toEqual([]);
    expect(loadConfig({ overrides: { ...sockets, 'performance.max_connections': 20_000 } }).warnings).toEqual([
      'websocket.max_connections (50000) is never reached: performance.max_connections (20000) counts WebSockets too',
    ]);
    expect(loadConfig({ overrides: { 'performance.max_connections': 20_000 } }).warnings).toEqual([]);
    const origins = [
      'https://a.example',
      'https://b.example/',
      'http://c.example:80',
      'app://d',
      '*',
      'null',
      'e.example',
      'https://f.example/app',
    ];
    expect(loadConfig({ overrides: { 'security.cors.allowed_origins': origins } }).warnings).toEqual([
      "security.cors.allowed_origins: 'e.example' is no origin such as https://app.example.com; no page has it",
      "security.cors.allowed_origins: 'https://f.example/app' is no origin such as https://app.example.com; no page has it",
    ]);
    expect(loadConfig({ overrides: { 'auth.jwt_secret': 'short' } }).warnings).toEqual([
      'auth.jwt_secret is shorter than 32 characters: whoever guesses it is everybody, also through a proxy',
    ]);
  });

  test('what a part of the server would refuse at its start is a problem already', () => {
    const overrides = { 'security.trusted_proxy_ranges': ['10.0.0.0/'], 'auth.jwt_trusted_issuers': ['http://id.example.org'] };
    expect(readConfig({ overrides }).problems).toEqual([
      "security.trusted_proxy_ranges: '10.0.0.0/' is not an address or a CIDR range",
      "auth.jwt_trusted_issuers: 'http://id.example.org' must be an https URL (http only on this machine)",
    ]);
    expect(() => loadConfig({ overrides: { 'server.public_origin': 'db.example' } })).toThrow('server.public_origin must be an origin');
  });

  test('a wrong value names the setting, where it came from and what it must be', () => {
    expect(() => loadConfig({ file: file('[server]\nport = "x"') })).toThrow(
      "server.port (from server.toml) must be an integer from 0 to 65535, not 'x'",
    );
    expect(() => loadConfig({ environment: { KALAMDB_STORAGE_DURABILITY: 'maybe' } })).toThrow('must be one of sync, relaxed');
  });

  test('secrets never appear in an error', () => {
    const secret = 'do-not-tell';
    for (const text of [
      `[auth]\njwt_secret = ["${secret}"]`,
      `[auth]\nroot_password = {a = "${secret}"}`,
      `[auth]\njwt_secret = "${secret}" oops`,
    ]) {
      let message = '';
      try {
        message = loadConfig({ file: file(text) }).warnings.join();
      } catch (error) {
        message = String(error);
      }
      expect(message).not.toContain(secret);
    }
  });

  test('a short token secret needs a loopback address', () => {
    const overrides = { 'auth.jwt_secret': 'short' } as const;
    expect(loadConfig({ overrides }).config['auth.jwt_secret']).toBe('short');
    expect(() => loadConfig({ overrides: { ...overrides, 'server.host': '0.0.0.0' } })).toThrow('shorter than 32 characters');
  });

  test('a file that is not TOML is refused with line and column', () => {
    expect(() => loadConfig({ file: file('[server\nport = 1') })).toThrow(/server\.toml:1:\d+/);
  });
});

describe('the table of settings', () => {
  test('defaults obey their own bounds', () => {
    expect(() => loadConfig({ overrides: loadConfig({}).config })).not.toThrow();
  });

  test('environment names and flags are unique, descriptions are sentences', () => {
    const specs = SETTING_NAMES.map((name) => SETTING_SPECS[name]);
    expect(new Set(specs.map(({ env }) => env)).size).toBe(specs.length);
    const flags = specs.flatMap(({ flag }) => (flag === undefined ? [] : [flag]));
    expect(new Set(flags).size).toBe(flags.length);
    for (const { description } of specs) expect(description).toMatch(/^\S.*[.]$/);
  });
});

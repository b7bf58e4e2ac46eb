import { describe, expect, test } from 'vitest';
import { loadConfig, readConfig } from './load-config.ts';
import { printConfig } from './print-config.ts';

const SECRET = 'a-secret-that-is-not-to-be-seen-anywhere';

describe('the printed configuration', () => {
  const read = readConfig({
    file: { path: 'my.toml', text: 'transaction_timeout_secs = 7\n[security.cors]\nallowed_origins = ["https://a.example"]\n' },
    environment: { KALAMDB_SERVER_PORT: '81', KALAMDB_JWT_SECRET: SECRET },
    flags: { 'storage.data_path': './a "quoted" path' },
  });
  const text = printConfig(read);

  test('is a file that gives the same settings, but for secrets', () => {
    const again = loadConfig({ file: { path: 'printed.toml', text }, environment: { KALAMDB_JWT_SECRET: SECRET } });
    expect(again.config).toEqual(read.config);
    expect(again.warnings).toEqual([]);
  });

  test('says where each value comes from', () => {
    expect(text).toContain('transaction_timeout_secs = 7 # my.toml');
    expect(text).toContain('port = 81 # KALAMDB_SERVER_PORT');
    expect(text).toContain('data_path = "./a \\"quoted\\" path" # the command line');
    expect(text).toContain('host = "127.0.0.1" # default');
  });

  test('says of secrets whether they are set', () => {
    expect(text).not.toContain(SECRET);
    expect(text).toContain('# jwt_secret: set, KALAMDB_JWT_SECRET');
    expect(text).toContain('# root_password: not set');
  });
});

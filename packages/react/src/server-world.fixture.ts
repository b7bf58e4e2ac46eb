import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Auth, createClient, type KalamDBClient } from '@kalamdb/client';
import { type RunningServer, startServer } from '@kalamdb/server';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';

const PASSWORD = 'a-long-password';

/** A real server and, for each test, an empty table `app.items` and a client. */
export interface ServerWorld {
  readonly client: KalamDBClient;
  /** The SQL of the subscriptions that the client has asked for. */
  readonly asked: readonly string[];
  sql(text: string): Promise<void>;
}

/** Makes a {@link ServerWorld} for the tests of a file. */
export function serverWorld(): ServerWorld {
  let directory = '';
  let server: RunningServer | undefined;
  let client: KalamDBClient | undefined;
  let asked: string[] = [];
  const current = (): KalamDBClient => {
    if (client === undefined) throw new Error('no test is running');
    return client;
  };
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kalam-react-'));
    server = await startServer({
      settings: {
        'server.port': 0,
        'storage.data_path': directory,
        'auth.root_password': PASSWORD,
        'auth.bcrypt_cost': 4,
        'logging.level': 'error',
      },
    });
  });
  afterAll(async () => {
    await server?.close();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    const subscribed: string[] = [];
    asked = subscribed;
    client = createClient({
      url: server?.url ?? '',
      authProvider: async () => Auth.basic('root', PASSWORD),
      onSend: (text) => {
        const { type, subscription } = JSON.parse(text) as { readonly type: string; readonly subscription?: { readonly sql: string } };
        if (type === 'subscribe') subscribed.push(subscription?.sql ?? '');
      },
    });
    await client.query('CREATE NAMESPACE IF NOT EXISTS app; DROP TABLE IF EXISTS app.items');
    await client.query('CREATE SHARED TABLE app.items (id INT PRIMARY KEY, list INT, body TEXT, note TEXT)');
  });
  afterEach(async () => {
    await client?.shutdown();
  });
  return {
    get client() {
      return current();
    },
    get asked() {
      return asked;
    },
    async sql(text) {
      await current().query(text);
    },
  };
}

import { SeededRandom } from '@kalamdb/testing';
import { afterEach, beforeEach } from 'vitest';
import { Auth, type ClientOptions, createClient, type KalamDBClient } from '../index.ts';
import { WireServer } from './wire-server.fixture.ts';

/** A server on the wire and the clients that a test connects to it; both are gone after each test. */
export interface ClientWorld {
  /** The server of the running test. */
  readonly server: WireServer;
  /** A client that reconnects at once. */
  connect(options?: Partial<ClientOptions>): KalamDBClient;
}

/** Makes a {@link ClientWorld} for the tests of a file. */
export function clientWorld(): ClientWorld {
  let server: WireServer | undefined;
  const clients: KalamDBClient[] = [];
  const running = (): WireServer => {
    if (server === undefined) throw new Error('no test is running');
    return server;
  };
  beforeEach(async () => {
    server = await WireServer.start();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.shutdown();
    await running().stop();
  });
  return {
    get server() {
      return running();
    },
    connect(options = {}) {
      const authProvider = async () => Auth.jwt('good');
      const client = createClient({ url: running().url, authProvider, random: new SeededRandom(1), ...options });
      client.setReconnectDelay(1, 5);
      clients.push(client);
      return client;
    },
  };
}

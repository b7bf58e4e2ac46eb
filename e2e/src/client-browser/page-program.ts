import { Auth, createClient, type KalamDBClient, type LiveState } from '@kalamdb/client';
import type { Container } from 'react-dom/client';
import { showInReact } from './react-page.ts';

/** How a trial's client is made. */
export interface TrialOptions {
  readonly url: string;
  readonly password: string;
  readonly pingIntervalMs: number;
  readonly reconnectDelayMs: number;
}

/** What the page lets the test do: strings and numbers go in and come out. */
export class Trial {
  readonly #client: KalamDBClient;
  ids: readonly number[] = [];
  bodies: readonly string[] = [];
  readonly states: LiveState[] = [];
  readonly errors: string[] = [];
  connects = 0;
  disconnects = 0;

  constructor({ url, password, pingIntervalMs, reconnectDelayMs }: TrialOptions) {
    this.#client = createClient({
      url,
      authProvider: async () => Auth.basic('root', password),
      pingIntervalMs,
      onConnect: () => {
        this.connects += 1;
      },
      onDisconnect: () => {
        this.disconnects += 1;
      },
      onError: ({ message }) => this.errors.push(message),
    });
    this.#client.setReconnectDelay(reconnectDelayMs, reconnectDelayMs);
  }

  async watch(): Promise<void> {
    await this.#client.live(
      'SELECT * FROM app.items',
      (rows) => {
        this.ids = rows.map((row) => row['id']?.asInt() ?? -1);
        this.bodies = rows.map((row) => row['body']?.asString() ?? '');
      },
      { onState: (state) => this.states.push(state) },
    );
  }

  showInReact(container: Container): void {
    showInReact(this.#client, container);
  }

  async insert(id: number, body: string): Promise<void> {
    await this.#client.insert('app.items', { id, body });
  }

  async refused(): Promise<string> {
    try {
      await this.#client.query('SELECT * FROM app.nothing');
      return 'not refused';
    } catch (error) {
      return (error as { readonly code?: string }).code ?? String(error);
    }
  }

  async end(): Promise<void> {
    await this.#client.shutdown();
  }
}

Object.assign(globalThis, { Trial });

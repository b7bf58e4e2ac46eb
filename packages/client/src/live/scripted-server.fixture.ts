import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { Wire, WireSocket } from '../connection/wire-socket.fixture.ts';
import { Auth, type ClientOptions, createClient, type KalamDBClient } from '../index.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import type { WireRow } from '../rows/row-data.ts';

const SCHEMA: readonly SchemaField[] = [
  { name: 'id', data_type: 'BigInt', index: 0, flags: ['pk', 'nn', 'uq'] },
  { name: 'rank', data_type: 'Int', index: 1 },
  { name: 'body', data_type: 'Text', index: 2 },
  { name: '_seq', data_type: 'BigInt', index: 3, flags: ['nn'] },
];

/** A client in virtual time whose server says what the test makes it say, frame by frame. */
export class ScriptedServer {
  readonly time: VirtualTime = new VirtualTime();
  readonly wire: Wire = new Wire();
  readonly client: KalamDBClient;
  readonly errors: string[] = [];
  /** Tokens that are accepted. */
  tokens: ReadonlySet<string> = new Set(['first']);
  /** What the provider gives. */
  token = 'first';

  constructor(options: Partial<ClientOptions> = {}) {
    const { wire, time } = this;
    this.client = createClient({
      url: 'http://server',
      authProvider: async () => Auth.jwt(this.token),
      webSocket: class extends WireSocket {
        constructor(_url: string) {
          super(wire);
        }
      },
      clock: time,
      timers: time,
      random: new SeededRandom(1),
      onError: ({ message }) => this.errors.push(message),
      ...options,
    });
  }

  /** Opens the socket that is being opened and judges its token. */
  async accept(): Promise<void> {
    await settled();
    this.wire.latest?.say('open');
    const { token } = this.asked('authenticate').at(-1) ?? {};
    if (this.tokens.has(String(token))) this.frame({ type: 'auth_success', user: 'alice', role: 'user' });
    else this.frame({ type: 'auth_error', message: 'Token expired' });
    await settled();
  }

  /** What the present socket was asked. */
  asked(type: string): Record<string, unknown>[] {
    const all = (this.wire.latest?.sent ?? []).map((text) => JSON.parse(text) as Record<string, unknown>);
    return all.filter((message) => message['type'] === type);
  }

  /** The options of the newest subscribe message. */
  get subscribed(): Record<string, unknown> {
    const { subscription } = this.asked('subscribe').at(-1) ?? {};
    return (subscription ?? {}) as Record<string, unknown>;
  }

  frame(message: object): void {
    this.wire.latest?.frame(message);
  }

  /** Accepts the newest subscription and sends its rows in one batch. */
  load(rows: readonly WireRow[], more: object = {}, window?: { readonly limit: number }): void {
    this.acknowledge(window);
    this.batch(rows, more);
  }

  /** Accepts the newest subscription. */
  acknowledge(window?: { readonly limit: number }): void {
    const control = { batch_num: 0, has_more: false, status: 'ready', last_seq_id: null };
    const id = this.subscribed['id'];
    this.frame({
      type: 'subscription_ack',
      subscription_id: id,
      total_rows: 0,
      ...(window && { window }),
      batch_control: control,
      schema: SCHEMA,
    });
  }

  batch(rows: readonly WireRow[], more: object = {}): void {
    const control = { batch_num: 0, has_more: false, status: 'ready', last_seq_id: null };
    this.frame({ type: 'initial_data_batch', subscription_id: this.subscribed['id'], ...more, rows, batch_control: control });
  }

  change(type: 'insert' | 'update' | 'delete', row: WireRow, rest: object = {}): void {
    const rows = type === 'delete' ? { old_values: [row] } : { rows: [row] };
    this.frame({ type: 'change', subscription_id: this.subscribed['id'], change_type: type, ...rows, ...rest });
  }

  /** Answers the question whether everything has been sent. */
  answerBarrier(): void {
    const control = { batch_num: 1, has_more: false, status: 'ready', last_seq_id: null };
    this.frame({ type: 'initial_data_batch', subscription_id: this.subscribed['id'], rows: [], batch_control: control });
  }

  refuse(code: string): void {
    this.frame({ type: 'error', subscription_id: this.subscribed['id'], code, message: code });
  }
}

/** Lets what was promised happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 24; turn++) await Promise.resolve();
}

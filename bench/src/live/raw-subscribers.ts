import type { EventBook, SeenEvent } from './event-book.ts';
import { eventsIn, integerAt } from './event-text.ts';
import { FrameSocket } from './frame-socket.ts';
import type { Order } from './orders.ts';

/** Connections that are opened at a time. */
const OPENERS = 64;
/** Stands for the first subscription in an SQL text. */
const FIRST_NUMBER = 1_000_000;
const CHANGE_HEAD = '{"type":"change","subscription_id":"s';
const BATCH_HEAD = '{"type":"initial_data_batch","subscription_id":"s';
const ACK_HEAD = '{"type":"subscription_ack","subscription_id":"s';

type Open = Extract<Order, { kind: 'open' }>;
type Subscribe = Extract<Order, { kind: 'subscribe' }>;

/** Many sockets with many subscriptions each, spoken to in bare frames. */
export class RawSubscribers {
  readonly #book: EventBook;
  readonly #sockets: FrameSocket[] = [];
  #opened: Open | undefined;
  #subscribed: Subscribe | undefined;
  #unready = 0;
  #wake: (() => void) | undefined;

  constructor(book: EventBook) {
    this.#book = book;
  }

  get subscriptions(): number {
    return this.#sockets.length * (this.#subscribed?.each ?? 0);
  }

  /** Opens all sockets. */
  async open(order: Open): Promise<void> {
    this.#opened = order;
    const { url, tokens, sockets } = order;
    let next = 0;
    const openOne = async (): Promise<void> => {
      while (next < sockets) {
        const number = next++;
        const token = tokens[number % tokens.length] ?? '';
        const onText = (text: string): void => this.#take(number, text);
        this.#sockets[number] = await FrameSocket.open({ url, token, onText, onLost: (reason) => this.#lost(reason) });
      }
    };
    await Promise.all(Array.from({ length: OPENERS }, openOne));
  }

  /** Subscribes on all sockets at once; resolves when every subscription has been acknowledged, and loaded if it loads. */
  subscribe(order: Subscribe): Promise<void> {
    this.#book.forget();
    return this.#subscribe(order, () => order.options);
  }

  cut(): void {
    for (const socket of this.#sockets) socket.cut();
  }

  /** Opens all sockets again and subscribes from the last event that each subscription has seen. */
  async resume(): Promise<void> {
    if (this.#opened === undefined || this.#subscribed === undefined) throw new Error('nothing to resume');
    await this.open(this.#opened);
    await this.#subscribe({ ...this.#subscribed, options: {} }, (subscription) => ({ from: this.#book.lastSeq(subscription) }));
  }

  async #subscribe(order: Subscribe, optionsOf: (subscription: number) => object | null): Promise<void> {
    this.#subscribed = order;
    const { each, sql } = order;
    this.#unready = this.#sockets.length * each;
    const ready = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    for (const [number, socket] of this.#sockets.entries()) {
      const messages = Array.from({ length: each }, (_, index) => {
        const subscription = number * each + index;
        const asked = { id: `s${index}`, sql: sql.replaceAll('#', String(FIRST_NUMBER + subscription)), options: optionsOf(subscription) };
        return JSON.stringify({ type: 'subscribe', subscription: asked });
      });
      socket.send(messages);
    }
    await ready;
    this.#book.check();
  }

  #take(socket: number, text: string): void {
    const each = this.#subscribed?.each ?? 0;
    if (text.startsWith(CHANGE_HEAD)) this.#note(socket * each + integerAt(text, CHANGE_HEAD.length), text, CHANGE_HEAD.length);
    else if (text.startsWith(BATCH_HEAD)) {
      this.#note(socket * each + integerAt(text, BATCH_HEAD.length), text, BATCH_HEAD.length);
      if (text.includes('"has_more":false')) this.#ready();
    } else if (!text.startsWith(ACK_HEAD)) this.#lost(text);
    else if (this.#subscribed?.options === null) this.#ready();
  }

  #note(subscription: number, text: string, from: number): void {
    eventsIn(text, from, (event: SeenEvent) => this.#book.note(subscription, event));
  }

  #ready(): void {
    this.#unready -= 1;
    if (this.#unready === 0) this.#wake?.();
  }

  #lost(reason: string): void {
    this.#book.fail(reason);
    this.#wake?.();
  }
}

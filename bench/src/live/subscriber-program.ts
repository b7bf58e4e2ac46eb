// Subscribers in a process of their own: takes orders from the process that measures, and answers each.

import { performance } from 'node:perf_hooks';
import { Auth, createClient, type KalamDBClient } from '@kalamdb/client';
import { EventBook } from './event-book.ts';
import type { Answer, Order, Report } from './orders.ts';
import { RawSubscribers } from './raw-subscribers.ts';

const book = new EventBook();
const raw = new RawSubscribers(book);
let client: KalamDBClient | undefined;
let busyBefore = 0;

async function follow({ url, user, password, sql }: Extract<Order, { kind: 'follow' }>): Promise<void> {
  client = createClient({ url, authProvider: async () => Auth.basic(user, password) });
  await client.subscribeWithSql(sql, (event) => {
    // A client that had to connect again gets what it missed in a batch.
    if (event.type !== 'change' && event.type !== 'initial_data_batch') return;
    for (const { id, at, _seq: seq } of event.rows ?? [])
      book.note(0, { id: Number(id?.asString()), dueMicros: Number(at?.asString()), seq: seq?.asString() ?? '' });
  });
}

async function carryOut(order: Order): Promise<Report> {
  const start = performance.now();
  const busy = busyMillis();
  switch (order.kind) {
    case 'open':
      await raw.open(order);
      break;
    case 'subscribe':
      await raw.subscribe(order);
      break;
    case 'follow':
      await follow(order);
      break;
    case 'cut':
      raw.cut();
      break;
    case 'resume':
      await raw.resume();
      break;
    case 'expect':
      book.expect(client === undefined ? raw.subscriptions : 1, order);
      busyBefore = busy;
      break;
    case 'arrived':
      await book.arrived();
      return { millis: performance.now() - book.expectedAt, busyMillis: busyMillis() - busyBefore, latencies: book.latencies };
    default:
      order satisfies never;
  }
  return { millis: performance.now() - start, busyMillis: busyMillis() - busy, latencies: [] };
}

function busyMillis(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    (report) => process.send?.({ report } satisfies Answer),
    (error: unknown) => process.send?.({ error: String(error) } satisfies Answer),
  );
});
process.on('disconnect', () => process.exit(0));

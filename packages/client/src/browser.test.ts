import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Auth, createClient } from './browser.ts';

const NAMES = ['addEventListener', 'removeEventListener'] as const;
const before = NAMES.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
let page: EventTarget & { listeners: number };

beforeEach(() => {
  const target = new EventTarget();
  page = Object.assign(target, { listeners: 0 });
  const add = (type: string, listener: () => void, options?: { signal?: AbortSignal }): void => {
    page.listeners++;
    options?.signal?.addEventListener('abort', () => page.listeners--);
    target.addEventListener(type, listener, options);
  };
  Object.defineProperty(globalThis, 'addEventListener', { value: add, configurable: true });
});
afterEach(() => {
  for (const [index, name] of NAMES.entries()) {
    const descriptor = before[index];
    if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
    else Object.defineProperty(globalThis, name, descriptor);
  }
});

describe('the door for browsers', () => {
  it('hears of the page while the client lives, and lets go of it at shutdown', async () => {
    const client = createClient({ url: 'http://127.0.0.1:1', authProvider: async () => Auth.jwt('t') });
    expect(page.listeners).toBeGreaterThan(0);
    await client.shutdown();
    expect(page.listeners).toBe(0);
  });

  it('says so when the runtime has no WebSocket', async () => {
    const { WebSocket } = globalThis as { WebSocket?: unknown };
    Reflect.deleteProperty(globalThis, 'WebSocket');
    const client = createClient({ url: 'http://127.0.0.1:1', authProvider: async () => Auth.jwt('t'), webSocket: undefined });
    await expect(client.connect()).rejects.toMatchObject({ code: 'NO_WEB_SOCKET' });
    await client.shutdown();
    if (WebSocket !== undefined) Object.defineProperty(globalThis, 'WebSocket', { value: WebSocket, configurable: true, writable: true });
  });
});

import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { rolldown } from 'rolldown';
import { describe, expect, it, vi } from 'vitest';
import { unlessAborted } from './waiting.ts';

describe('waiting', () => {
  it('ends with the promise or with the signal, and leaves no listener', async () => {
    const abort = new AbortController();
    const listeners = vi.spyOn(abort.signal, 'removeEventListener');
    await expect(unlessAborted(Promise.resolve(1), abort.signal)).resolves.toBe(1);
    await expect(unlessAborted(Promise.reject(new Error('no')), abort.signal)).rejects.toThrow('no');
    const waiting = unlessAborted(new Promise(() => undefined), abort.signal);
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(listeners).toHaveBeenCalledTimes(3);
  });

  it('a runtime without the symbol is served under the one that compilers fall back to', async () => {
    const bundle = await rolldown({
      input: join(import.meta.dirname, 'browser.ts'),
      platform: 'browser',
      resolve: { conditionNames: ['source', 'browser', 'import', 'default'] },
    });
    const { output } = await bundle.generate({ format: 'iife', name: 'kalam' });
    // a context of its own has the language's globals only, and the language of this runtime may not have the symbol yet
    const bare = createContext({ URL, AbortController, fetch, setTimeout, clearTimeout, setInterval, clearInterval });
    runInContext('delete Symbol.asyncDispose', bare);
    expect(runInContext('Symbol.asyncDispose', bare)).toBeUndefined();
    const client: object = runInContext(
      `${output[0].code}; kalam.createClient({ url: 'http://127.0.0.1:1', authProvider: async () => kalam.Auth.none() })`,
      bare,
    );
    const dispose: unknown = Reflect.get(client, Symbol.for('Symbol.asyncDispose'));
    expect(typeof dispose).toBe('function');
    expect('undefined' in client).toBe(false);
    await Reflect.apply(dispose as () => Promise<void>, client, []);
  });
});

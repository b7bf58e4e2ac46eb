import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkProxy, SeededRandom, ServerProcess } from '@kalamdb/testing';
import { type Browser, chromium, type Page } from 'playwright-core';
import { rolldown } from 'rolldown';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import { chromiumPath } from './chromium.ts';
import type { TrialOptions } from './page-program.ts';

const PASSWORD = 'browser-root-password';
const executablePath = chromiumPath();

/** A server of the page, on an origin of its own. */
async function servePage(): Promise<Server> {
  const bundle = await rolldown({
    input: join(import.meta.dirname, 'page-program.ts'),
    platform: 'browser',
    resolve: { conditionNames: ['browser', 'import', 'default'] },
  });
  const { output } = await bundle.generate({ format: 'es', minify: true });
  const page = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? output[0].code : '<!doctype html><title>trial</title><script type="module" src="/page.js"></script>');
  });
  page.listen(0, '127.0.0.1');
  await once(page, 'listening');
  return page;
}

describe.runIf(executablePath !== undefined)(`the client in Chromium (${executablePath ?? 'left out: none in PATH'})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-browser-'));
  const api = new Api();
  let server: ServerProcess;
  let proxy: NetworkProxy;
  let pageServer: Server;
  let browser: Browser;
  let page: Page;
  let binaryFrames = 0;

  beforeAll(async () => {
    server = await ServerProcess.start({ folder, rootPassword: PASSWORD, settings: UNHURRIED_SETTINGS });
    api.url = server.url;
    await api.login('root', PASSWORD);
    proxy = await NetworkProxy.start({ targetPort: () => server.port, random: new SeededRandom(1) });
    pageServer = await servePage();
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  }, 60_000);

  afterAll(async () => {
    await browser.close();
    pageServer.close();
    await proxy.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    await api.sql('root', 'CREATE NAMESPACE IF NOT EXISTS app; DROP TABLE IF EXISTS app.items');
    await api.sql('root', 'CREATE SHARED TABLE app.items (id INT PRIMARY KEY, body TEXT)');
    page = await browser.newPage();
    await page.clock.install();
    page.on('websocket', (socket) => {
      socket.on('framereceived', ({ payload }) => {
        if (typeof payload !== 'string') binaryFrames += 1;
      });
    });
    await page.goto(`http://127.0.0.1:${(pageServer.address() as AddressInfo).port}/`);
    await page.waitForFunction('globalThis.Trial !== undefined');
  });

  afterEach(async () => {
    await page.evaluate('trial.end()');
    await page.close();
  });

  const trialOptions = (): TrialOptions => ({ url: proxy.url, password: PASSWORD, pingIntervalMs: 5_000, reconnectDelayMs: 20 });
  const begin = async (options: Partial<TrialOptions> = {}): Promise<void> => {
    await page.evaluate(`globalThis.trial = new Trial(${JSON.stringify({ ...trialOptions(), ...options })}); trial.watch()`);
    await page.waitForFunction('trial.states.at(-1) === "caught-up"');
  };
  const put = async (id: number, body: string): Promise<void> => {
    const { error } = await api.sql('root', `INSERT INTO app.items (id, body) VALUES (${id}, '${body}')`);
    expect(error).toBeUndefined();
  };
  const shown = (id: number): Promise<unknown> => page.waitForFunction(`trial.ids.includes(${id})`, undefined, { timeout: 10_000 });

  it('logs in from another origin, writes, and sees its own changes and those of others', async () => {
    await begin();
    await page.evaluate('trial.insert(1, "from the page")');
    await put(2, 'from elsewhere');
    await shown(1);
    await shown(2);
    expect(await page.evaluate('trial.refused()')).toBe('SQL_EXECUTION_ERROR');
  });

  it('inflates the frames that the server compresses', async () => {
    const before = binaryFrames;
    await begin();
    await put(1, 'long '.repeat(2_000));
    await shown(1);
    expect(await page.evaluate('trial.bodies[0].length')).toBe(10_000);
    expect(binaryFrames).toBeGreaterThan(before);
  });

  it('is back at once when the network is, however long the next attempt is away', async () => {
    await put(0, 'before');
    await begin({ reconnectDelayMs: 600_000 });
    await page.context().setOffline(true);
    proxy.cutAll();
    await page.waitForFunction('trial.disconnects === 1');
    await put(1, 'while offline');
    await page.context().setOffline(false);
    await shown(1);
    await page.waitForFunction('trial.states.length === 3');
    expect(await page.evaluate('trial.states.join()')).toBe('caught-up,stale,caught-up');
  });

  it('shows live rows in React, through a cut, with one subscription for all components', async () => {
    const asked: string[] = [];
    page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => void (String(payload).includes('"subscribe"') && asked.push(String(payload))));
    });
    await put(1, 'a');
    await page.evaluate(`globalThis.trial = new Trial(${JSON.stringify(trialOptions())}); trial.showInReact(document.body)`);
    const reads = (text: string): Promise<unknown> => page.waitForFunction(`document.body.textContent === '${text}'`);
    await reads('live a 1');
    await put(2, 'b');
    await reads('live a,b 2');
    expect(asked).toHaveLength(1);
    proxy.cutAll();
    await put(3, 'c');
    await reads('live a,b,c 3');
  });

  it('notices after a sleep that its socket is dead, however long the next sign of life is away', async () => {
    await begin({ pingIntervalMs: 60_000 });
    proxy.swallowAll();
    await put(1, 'while asleep');
    await page.clock.fastForward(600_000);
    await shown(1);
    expect(await page.evaluate('trial.disconnects')).toBe(1);
  });

  it.each(['visibilitychange', 'resume'])('notices it too when the page is shown or thawed again: %s', async (event) => {
    await begin({ pingIntervalMs: 600_000 });
    proxy.swallowAll();
    await put(1, 'while hidden');
    await page.evaluate(`document.dispatchEvent(new Event('${event}'))`);
    await shown(1);
    expect(await page.evaluate('trial.disconnects')).toBe(1);
  });
});

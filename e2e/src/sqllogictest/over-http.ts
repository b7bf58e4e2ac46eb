import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ResultCell, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import type { FileRunner } from './run.ts';

const ROOT_PASSWORD = 'sqllogictest-root-password';

/** A server process that plays each file in a namespace of its own. Whoever starts one stops it. */
export class HttpRunners {
  readonly #server: ServerProcess;
  readonly #api: Api;
  readonly #folder: string;
  #files = 0;

  private constructor(server: ServerProcess, api: Api, folder: string) {
    this.#server = server;
    this.#api = api;
    this.#folder = folder;
  }

  static async start(): Promise<HttpRunners> {
    const folder = mkdtempSync(join(tmpdir(), 'kalamdb-sqllogictest-'));
    const server = await ServerProcess.start({ folder, rootPassword: ROOT_PASSWORD, settings: UNHURRIED_SETTINGS });
    const api = new Api();
    api.url = server.url;
    await api.login('root', ROOT_PASSWORD);
    return new HttpRunners(server, api, folder);
  }

  /** A runner for one file. */
  async runner(): Promise<FileRunner> {
    const namespace = `file_${++this.#files}`;
    await this.#api.rows('root', `CREATE NAMESPACE ${namespace}`);
    return { namespace, run: (sql) => this.#run(sql, namespace) };
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(sql: string, namespace: string): Promise<readonly (readonly ResultCell[])[]> {
    const response = await fetch(`${this.#api.url}/v1/api/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#api.token('root')}` },
      body: JSON.stringify({ sql, namespace_id: namespace }),
    });
    const body = (await response.json()) as Answer;
    if (response.status !== 200) throw new Error(`${body.error?.code}: ${body.error?.message}`);
    return body.results?.at(-1)?.rows ?? [];
  }
}

interface Answer {
  readonly results?: readonly { readonly rows?: readonly (readonly ResultCell[])[] | null }[];
  readonly error?: { readonly code?: string; readonly message?: string } | null;
}

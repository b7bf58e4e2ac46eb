import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const PASSWORD = 'life-cycle-password';

describe('a server process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-life-'));
  let server: ServerProcess;

  beforeAll(async () => {
    server = await ServerProcess.start({ folder, rootPassword: PASSWORD });
  });

  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function login(): Promise<number> {
    const body = JSON.stringify({ user: 'root', password: PASSWORD });
    const answer = await fetch(`${server.url}/v1/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    return answer.status;
  }

  // The kernel lists threads below /proc; elsewhere there is nothing to count.
  it.runIf(process.platform === 'linux')('has sixteen threads for log, hot tier and passwords, not four', async () => {
    expect(await login()).toBe(200);
    expect(readdirSync(`/proc/${server.pid}/task`).length).toBeGreaterThan(16 + 4);
  });

  it('keeps a second one off its directory, saying who has it', async () => {
    const second = ServerProcess.start({ folder, rootPassword: PASSWORD });
    await expect(second).rejects.toThrow(new RegExp(`in use by another server \\(process ${server.pid}\\)`));
    expect(await login()).toBe(200);
  });

  it('gives its directory free when it is killed, and when it is stopped', async () => {
    for (const end of ['kill', 'stop'] as const) {
      await server[end]();
      server = await ServerProcess.start({ folder, rootPassword: PASSWORD });
      expect(await login()).toBe(200);
    }
  });
});

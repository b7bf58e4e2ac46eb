import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type RunningServer, startServer } from '../server.ts';
import { LocalIssuer } from './issuer.fixture.ts';

const ROOT_PASSWORD = 'root-password-1';

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

let issuer: LocalIssuer;
let server: RunningServer;
let root: string;
let alice: string;

beforeAll(async () => {
  issuer = await LocalIssuer.start();
  server = await startServer({
    settings: {
      'server.port': 0,
      'storage.data_path': ':memory:',
      'auth.root_password': ROOT_PASSWORD,
      'auth.bcrypt_cost': 4,
      'auth.jwt_trusted_issuers': [issuer.url],
      'auth.jwt_audience': 'kalam',
      'auth.oidc_user_claim': 'preferred_username',
      'auth.auto_create_users_from_provider': true,
      'auth.api_tokens_max_per_user': 3,
      'rate_limit.max_auth_requests_per_ip_per_sec': 1000,
    },
    log: pino({ level: 'silent' }),
  });
  root = await login('root', ROOT_PASSWORD);
  await say("CREATE NAMESPACE app; CREATE USER alice WITH PASSWORD 'alice-password-1' ROLE user");
  await say('CREATE USER TABLE app.notes (id INT PRIMARY KEY)');
  alice = await login('alice', 'alice-password-1');
});

afterAll(async () => {
  await server.close();
  await issuer.stop();
});

async function ask(method: string, path: string, { token, body }: { token?: string; body?: unknown } = {}): Promise<Answer> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await fetch(server.url + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text } };
}

async function login(user: string, password: string): Promise<string> {
  return String((await ask('POST', '/v1/api/auth/login', { body: { user, password } })).body['access_token']);
}

const sql = (token: string, text: string): Promise<Answer> => ask('POST', '/v1/api/sql', { token, body: { sql: text } });

async function say(text: string): Promise<void> {
  const { status, body } = await sql(root, text);
  expect(body, text).toMatchObject({ status: 'success' });
  expect(status).toBe(200);
}

async function rows(text: string): Promise<unknown> {
  const [result] = (await sql(root, text)).body['results'] as { rows: unknown }[];
  return result?.rows;
}

async function makeToken(owner: string, name = 'ci'): Promise<{ readonly id: string; readonly token: string }> {
  const { status, body } = await ask('POST', '/v1/api/auth/tokens', { token: owner, body: { name } });
  expect(status).toBe(200);
  return { id: String(body['id']), token: String(body['token']) };
}

/** What a socket hears until it is closed, or until it has been let in. */
async function connect(token: string, road: 'header' | 'message'): Promise<{ readonly socket: WebSocket; readonly first: unknown }> {
  const headers = road === 'header' ? { authorization: `Bearer ${token}` } : {};
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, { headers });
  const protocol = { serialization: 'json', compression: 'none' };
  if (road === 'message') socket.on('open', () => socket.send(JSON.stringify({ type: 'authenticate', method: 'jwt', token, protocol })));
  const first = await new Promise((resolve) => socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString()))));
  return { socket, first };
}

const closed = (socket: WebSocket): Promise<number> => new Promise((resolve) => socket.once('close', resolve));

describe('API tokens', () => {
  test('are shown once, listed without their secret, and make requests in the name of their user', async () => {
    const { id, token } = await makeToken(alice);
    expect(token).toMatch(/^kdb_[0-9a-f]{16}_[0-9a-f]{64}$/);
    const { body } = await sql(token, 'SELECT CURRENT_USER() AS me');
    expect(body).toMatchObject({ results: [{ rows: [['alice']] }] });
    expect((await ask('GET', '/v1/api/auth/me', { token })).body).toMatchObject({ user: { id: 'alice' } });
    const listed = await ask('GET', '/v1/api/auth/tokens', { token: alice });
    expect(listed.body).toMatchObject({ tokens: [{ id, user: 'alice', name: 'ci', expires_at: null }] });
    expect(JSON.stringify(listed.body)).not.toContain(token.slice(22));
    await expect.poll(() => rows(`SELECT user_id, name, last_used_at IS NOT NULL FROM system.api_tokens`)).toEqual([['alice', 'ci', true]]);
    const { body: everything } = await sql(root, 'SELECT * FROM system.api_tokens');
    const columns = (everything['results'] as { schema: { name: string }[] }[])[0]?.schema.map(({ name }) => name);
    expect(columns).toEqual(['token_id', 'user_id', 'name', 'created_at', 'expires_at', 'last_used_at']);
    for (const name of ['secret_hash', 'slot']) expect((await sql(root, `SELECT ${name} FROM system.api_tokens`)).status).toBe(400);
    expect((await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice })).body).toEqual({ message: 'Token revoked' });
    expect((await sql(token, 'SELECT 1')).body).toMatchObject({ error: { code: 'INVALID_CREDENTIALS', message: 'Invalid credentials' } });
  });

  test('are no good for making others, nor for passwords', async () => {
    const { id, token } = await makeToken(alice);
    const refused = { status: 403, body: { error: 'forbidden' } };
    expect(await ask('POST', '/v1/api/auth/tokens', { token, body: { name: 'x' } })).toMatchObject(refused);
    expect(await ask('GET', '/v1/api/auth/tokens', { token })).toMatchObject(refused);
    expect(await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token })).toMatchObject(refused);
    const body = { current_password: 'alice-password-1', new_password: 'alice-password-2' };
    expect(await ask('POST', '/v1/api/auth/password', { token, body })).toMatchObject(refused);
    expect(await ask('POST', '/v1/api/auth/refresh', { token })).toMatchObject({ status: 401 });
    await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice });
  });

  test('that are nearly right are refused', async () => {
    const { id, token } = await makeToken(alice);
    const last = token.endsWith('0') ? '1' : '0';
    const others = [
      token.slice(0, -1),
      `${token.slice(0, -1)}${last}`,
      token.toUpperCase(),
      `kdb_${'0'.repeat(16)}_${token.slice(-64)}`,
      'kdb_',
      `${token}0`,
    ];
    for (const other of others) expect((await sql(other, 'SELECT 1')).status, other).toBe(401);
    expect((await sql(token, 'SELECT 1')).status).toBe(200);
    await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice });
  });

  test('are so many for each user, and refuse requests that make no sense', async () => {
    const made = [await makeToken(alice, 'one'), await makeToken(alice, 'two'), await makeToken(alice, 'three')];
    const more = await ask('POST', '/v1/api/auth/tokens', { token: alice, body: { name: 'four' } });
    expect(more).toMatchObject({ status: 409, body: { error: 'too_many_tokens' } });
    for (const body of [{ name: '' }, { name: 'x'.repeat(129) }, { name: 'x', expires_in_days: 0 }, { name: 'x', expires_in_days: 1.5 }]) {
      expect(await ask('POST', '/v1/api/auth/tokens', { token: alice, body })).toMatchObject({
        status: 400,
        body: { error: 'invalid_token_request' },
      });
    }
    for (const body of [{}, { name: 1 }, { name: 'x', role: 'dba' }, { name: 'x', expires_in_days: '1' }]) {
      expect((await ask('POST', '/v1/api/auth/tokens', { token: alice, body })).status).toBe(400);
    }
    for (const { id } of made) await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice });
    const { id } = await makeToken(alice, 'again');
    await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice });
  });

  test('are listed for one user at a time', async () => {
    expect((await ask('GET', '/v1/api/auth/tokens?user=alice&user=root', { token: root })).status).toBe(400);
  });

  test('of others are for admins only, and nobody else learns that they exist', async () => {
    await say("CREATE USER bob WITH PASSWORD 'bob-password-1' ROLE user; CREATE USER dora WITH PASSWORD 'dora-password-1' ROLE dba");
    const [bob, dora] = [await login('bob', 'bob-password-1'), await login('dora', 'dora-password-1')];
    const { id } = await makeToken(alice);
    const own = await makeToken(root);
    expect(await ask('GET', '/v1/api/auth/tokens?user=alice', { token: bob })).toMatchObject({ status: 403 });
    expect(await ask('GET', '/v1/api/auth/tokens?all=true', { token: bob })).toMatchObject({ status: 403 });
    expect(await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: bob })).toMatchObject({ status: 404, body: { error: 'not_found' } });
    expect(await ask('GET', '/v1/api/auth/tokens?user=alice', { token: dora })).toMatchObject({ body: { tokens: [{ id }] } });
    expect((await ask('GET', '/v1/api/auth/tokens?all=true', { token: dora })).body['tokens']).toHaveLength(2);
    expect(await ask('DELETE', `/v1/api/auth/tokens/${own.id}`, { token: dora })).toMatchObject({ status: 403 });
    expect(await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: dora })).toMatchObject({ status: 200 });
    expect(await ask('DELETE', `/v1/api/auth/tokens/${own.id}`, { token: root })).toMatchObject({ status: 200 });
    const audit = await rows(
      "SELECT actor_user_id, subject_user_id FROM system.audit_log WHERE action = 'REVOKE_API_TOKEN' AND actor_user_id = 'dora'",
    );
    expect(audit).toEqual([['dora', 'alice']]);
  });

  test('for a user without a password are made by admins', async () => {
    await say('CREATE USER bot WITH INTERNAL ROLE service');
    const wanted = (user: string): object => ({ name: 'bot', user });
    const { status, body } = await ask('POST', '/v1/api/auth/tokens', { token: root, body: wanted('bot') });
    expect({ status, user: body['user'] }).toEqual({ status: 200, user: 'bot' });
    expect((await sql(String(body['token']), 'SELECT CURRENT_USER() AS me')).body).toMatchObject({ results: [{ rows: [['bot']] }] });
    const dora = await login('dora', 'dora-password-1');
    expect(await ask('POST', '/v1/api/auth/tokens', { token: dora, body: wanted('root') })).toMatchObject({ status: 403 });
    expect(await ask('POST', '/v1/api/auth/tokens', { token: dora, body: wanted('nobody') })).toMatchObject({ status: 400 });
    expect(await ask('POST', '/v1/api/auth/tokens', { token: alice, body: wanted('bot') })).toMatchObject({ status: 403 });
  });

  test.each(['header', 'message'] as const)('open sockets by %s, and close them when they are revoked', async (road) => {
    const { id, token } = await makeToken(alice);
    const { socket, first } = await connect(token, road);
    expect(first).toMatchObject({ type: 'auth_success', user: 'alice', role: 'user' });
    const end = closed(socket);
    const started = performance.now();
    await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice });
    expect(await end).toBe(1008);
    expect(performance.now() - started).toBeLessThan(2500);
  });

  test('are followed live by admins, without what is hidden', async () => {
    const { socket } = await connect(root, 'header');
    const heard: string[] = [];
    socket.on('message', (data: Buffer) => heard.push(data.toString()));
    const subscription = { id: 's', sql: 'SELECT * FROM system.api_tokens', options: null };
    socket.send(JSON.stringify({ type: 'subscribe', subscription }));
    await expect.poll(() => heard.length).toBe(1);
    const { id, token } = await makeToken(alice);
    await expect.poll(() => heard.length).toBe(2);
    expect(heard[1]).toContain(id);
    expect(heard.join()).not.toMatch(/secret|slot/);
    expect(heard.join()).not.toContain(token.slice(-64));
    await ask('DELETE', `/v1/api/auth/tokens/${id}`, { token: alice });
    socket.close();
  });

  test('follow the role of their user; open sockets end with the old one', async () => {
    await say("CREATE USER carl WITH PASSWORD 'carl-password-1' ROLE user");
    const { token } = await makeToken(await login('carl', 'carl-password-1'));
    const { socket } = await connect(token, 'header');
    const end = closed(socket);
    await say('ALTER USER carl SET ROLE service');
    expect(await end).toBe(1008);
    expect((await sql(token, 'SELECT CURRENT_ROLE() AS role')).body).toMatchObject({ results: [{ rows: [['service']] }] });
    await say('DROP USER carl');
    expect((await sql(token, 'SELECT 1')).status).toBe(401);
  });
});

describe('a flood of logins', () => {
  test('is answered in full, with a typed refusal beyond what can wait, while others are served', async () => {
    const attempts = Array.from({ length: 600 }, (_, i) =>
      ask('POST', '/v1/api/auth/login', { body: { user: `nobody${i}`, password: 'x' } }),
    );
    expect((await sql(alice, 'SELECT 1')).status).toBe(200);
    const answers = await Promise.all(attempts);
    const refusals = new Set(answers.map(({ status, body }) => `${status} ${body['error']}`));
    expect([...refusals].filter((text) => text !== '401 unauthorized' && text !== '429 rate_limited')).toEqual([]);
    expect(refusals).toContain('401 unauthorized');
    expect(await login('alice', 'alice-password-1')).not.toBe('undefined');
  });
});

describe('an own password', () => {
  test('is changed by its user; refresh tokens from before end, access tokens do not', async () => {
    await say("CREATE USER emma WITH PASSWORD 'emma-password-1' ROLE user");
    const before = (await ask('POST', '/v1/api/auth/login', { body: { user: 'emma', password: 'emma-password-1' } })).body;
    const [access, refresh] = [String(before['access_token']), String(before['refresh_token'])];
    const change = (current: string, next: string): Promise<Answer> =>
      ask('POST', '/v1/api/auth/password', { token: access, body: { current_password: current, new_password: next } });
    expect(await change('wrong', 'emma-password-2')).toMatchObject({
      status: 401,
      body: { error: 'unauthorized', message: 'Invalid credentials' },
    });
    expect(await change('emma-password-1', 'password')).toMatchObject({ status: 400, body: { error: 'weak_password' } });
    const changed = await change('emma-password-1', 'emma-password-2');
    expect(changed).toMatchObject({ status: 200, body: { user: { id: 'emma' } } });
    expect(await ask('POST', '/v1/api/auth/refresh', { token: refresh })).toMatchObject({ status: 401, body: { error: 'unauthorized' } });
    expect(await ask('POST', '/v1/api/auth/refresh', { token: String(changed.body['refresh_token']) })).toMatchObject({ status: 200 });
    expect((await sql(access, 'SELECT 1')).status).toBe(200);
    expect(await login('emma', 'emma-password-1')).toBe('undefined');
    expect(await login('emma', 'emma-password-2')).not.toBe('undefined');
    const details = await rows(
      "SELECT actor_user_id, details, ip_address FROM system.audit_log WHERE action = 'ALTER_USER' AND target = 'user:emma'",
    );
    expect(details).toEqual([['emma', 'SetPassword([REDACTED])', '127.0.0.1']]);
  });
});

describe('users of an issuer', () => {
  const vouch = (claims: object): Promise<string> => issuer.token({ aud: 'kalam', ...claims });

  test('are made at their first login, once, and stay who they are', async () => {
    const token = await vouch({ sub: 's-olga', preferred_username: 'olga', email: 'o@example.org' });
    const answers = await Promise.all([1, 2, 3].map(() => sql(token, 'SELECT CURRENT_USER() AS me, CURRENT_ROLE() AS role')));
    for (const { body } of answers) expect(body).toMatchObject({ results: [{ rows: [['olga', 'user']] }] });
    const renamed = await vouch({ sub: 's-olga', preferred_username: 'somebody' });
    expect((await ask('GET', '/v1/api/auth/me', { token: renamed })).body).toMatchObject({ user: { id: 'olga', email: 'o@example.org' } });
    expect(await rows("SELECT auth_type, auth_data FROM system.users WHERE user_id = 'olga'")).toEqual([
      ['OAuth', JSON.stringify({ issuer: issuer.url, provider_type: 'custom', subject: 's-olga' })],
    ]);
    expect(await login('olga', '')).toBe('undefined');
  });

  test('cannot become somebody who is there already, nor be called what nobody may be', async () => {
    for (const name of ['root', 'alice', '../x', '', undefined]) {
      const token = await vouch({ sub: `s-${name}`, preferred_username: name });
      expect((await sql(token, 'SELECT 1')).body).toMatchObject({ error: { code: 'INVALID_CREDENTIALS' } });
    }
  });

  test('can be made before; a role change holds at once and a drop is final', async () => {
    const identity = JSON.stringify({ provider: issuer.url, subject: 's-paul' });
    await say(`CREATE USER paul WITH OAUTH '${identity}' ROLE service`);
    expect((await sql(root, `CREATE USER paul2 WITH OAUTH '${identity}' ROLE user`)).status).toBe(400);
    const token = await vouch({ sub: 's-paul', preferred_username: 'other' });
    expect((await sql(token, 'SELECT CURRENT_USER() AS me, CURRENT_ROLE() AS role')).body).toMatchObject({
      results: [{ rows: [['paul', 'service']] }],
    });
    await say('ALTER USER paul SET ROLE dba');
    expect((await sql(token, 'SELECT CURRENT_ROLE() AS role')).body).toMatchObject({ results: [{ rows: [['dba']] }] });
    expect((await sql(root, "ALTER USER paul SET PASSWORD 'paul-password-1'")).status).toBe(400);
    const { socket } = await connect(token, 'message');
    const end = closed(socket);
    await say('DROP USER paul');
    expect(await end).toBe(1008);
    expect((await sql(token, 'SELECT 1')).status).toBe(401);
  });

  test.each(['header', 'message'] as const)('open sockets by %s', async (road) => {
    const { socket, first } = await connect(await vouch({ sub: 's-ines', preferred_username: 'ines' }), road);
    expect(first).toMatchObject({ type: 'auth_success', user: 'ines', role: 'user' });
    socket.close();
  });

  test('are told apart from those of tokens that are expired, for others, or from elsewhere', async () => {
    const code = async (token: string): Promise<unknown> => (await sql(token, 'SELECT 1')).body['error'];
    expect(await code(await vouch({ sub: 's', exp: 1 }))).toMatchObject({ code: 'TOKEN_EXPIRED' });
    for (const claims of [
      { aud: 'other' },
      { iss: 'https://elsewhere.example' },
      { iss: 'kalamdb', role: 'system', token_type: 'access' },
    ]) {
      expect(await code(await vouch({ sub: 'root', preferred_username: 'new', ...claims }))).toMatchObject({ code: 'INVALID_CREDENTIALS' });
    }
    expect(await code(await issuer.confused({ sub: 's', aud: 'kalam' }))).toMatchObject({ code: 'INVALID_CREDENTIALS' });
  });
});

describe('acting for others', () => {
  test('is written down: who, for whom, what, and without values', async () => {
    for (const id of [1, 2, 3]) await say(`EXECUTE AS USER 'alice' (INSERT INTO app.notes (id) VALUES (${id}))`);
    const denied = await sql(alice, "EXECUTE AS USER 'root' (SELECT 'secret' AS x)");
    expect(denied.status).toBe(403);
    const read = (): Promise<unknown> =>
      rows(
        "SELECT actor_user_id, action, target, details, ip_address, subject_user_id FROM system.audit_log WHERE action LIKE 'EXECUTE%' ORDER BY action",
      );
    await expect.poll(read).toEqual([
      ['root', 'EXECUTE_AS_USER', 'user:alice', 'INSERT INTO app.notes (id) VALUES (?)', '127.0.0.1', 'alice'],
      ['alice', 'EXECUTE_AS_USER_DENIED', 'user:root', 'role_not_allowed: User for System', '127.0.0.1', 'root'],
    ]);
  });

  test('so are statements that change the catalog', async () => {
    await say('CREATE TABLE app.t (id INT PRIMARY KEY)');
    await say('ALTER TABLE app.t SET ACCESS LEVEL PUBLIC');
    await say('DROP TABLE app.t');
    await say('DROP TABLE IF EXISTS app.t');
    const found = await rows("SELECT action, details FROM system.audit_log WHERE target = 'table:app.t' ORDER BY action");
    expect(found).toEqual([
      ['ALTER_TABLE', 'SET ACCESS LEVEL Public'],
      ['CREATE_TABLE', null],
      ['DROP_TABLE', null],
    ]);
  });
});

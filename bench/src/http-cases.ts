import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { load, type Measurement } from './measure.ts';
import { at, run, type Target, withConnections } from './target.ts';

/** Clients that ask, or connect, at a time. */
const CLIENTS = 64;
/** Clients that log in at a time: hashes take turns on the cores, so more would only wait. */
const LOGIN_CLIENTS = 8;
const SELECT_ONE = 'SELECT 1';

/** What HTTP costs: the smallest statement, over both versions, connections that are used once, and logins. */
export async function httpCases(target: Target): Promise<readonly Measurement[]> {
  return [await selectOne(target), await selectOneHttp2(target), await freshConnections(target), await logins(target)];
}

function selectOne(target: Target): Promise<Measurement> {
  return withConnections(target.url, CLIENTS, (connections) =>
    load({ name: `${SELECT_ONE}, ${CLIENTS} client(s)`, clients: CLIENTS, seconds: target.seconds }, async (client) => {
      await run(at(connections, client), target, SELECT_ONE);
    }),
  );
}

/** All clients on one connection, as programs that speak HTTP/2 do it. */
async function selectOneHttp2(target: Target): Promise<Measurement> {
  const session = connectHttp2(target.url);
  await once(session, 'connect');
  try {
    return await load({ name: `${SELECT_ONE}, HTTP/2, ${CLIENTS} at a time`, clients: CLIENTS, seconds: target.seconds }, () =>
      askHttp2(session, target),
    );
  } finally {
    session.destroy();
  }
}

function askHttp2(session: ClientHttp2Session, { token }: Target): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/api/sql',
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
    });
    stream.on('response', ({ ':status': status }) => {
      if (status !== 200) reject(new Error(`status ${status}`));
    });
    stream.on('error', reject).on('end', () => resolve());
    stream.resume();
    stream.end(JSON.stringify({ sql: SELECT_ONE }));
  });
}

/** A connection for each request: opened, asked for the health, closed. */
function freshConnections(target: Target): Promise<Measurement> {
  const { hostname, port, host } = new URL(target.url);
  const request = `GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(Number(port), hostname, () => socket.write(request));
      socket.setEncoding('latin1');
      socket.on('data', (chunk: string) => {
        text += chunk;
      });
      socket.on('error', reject);
      socket.on('close', () => (text.startsWith('HTTP/1.1 200') ? resolve() : reject(new Error(`refused: ${text}`))));
    });
  return load({ name: `fresh HTTP connections, ${CLIENTS} at a time`, clients: CLIENTS, seconds: target.seconds }, ask);
}

/** Logins with the default cost of a password's hash. */
function logins(target: Target): Promise<Measurement> {
  const { url, user, password, seconds } = target;
  const body = JSON.stringify({ user, password });
  return withConnections(url, LOGIN_CLIENTS, (connections) =>
    load({ name: `login, ${LOGIN_CLIENTS} at a time`, clients: LOGIN_CLIENTS, seconds }, async (client) => {
      const answer = await at(connections, client).post('/v1/api/auth/login', body);
      if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.body}`);
    }),
  );
}

// The peer of the live cases: PostgreSQL's LISTEN behind the least WebSocket server that can stand for a product. It speaks as much
// of the protocol as the subscribers of the bench need: every notification is a change for every subscription.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'pg';
import { type WebSocket, WebSocketServer } from 'ws';

const CHANNEL = 'bench';

const [host = ''] = process.argv.slice(2);
const listener = new Client({ host, user: 'bench', database: 'postgres' });
const sockets = new Map<WebSocket, string[]>();
let seq = 0;

listener.on('notification', ({ payload = '' }) => {
  const row = `"rows":[{${payload.slice(1, -1)},"_seq":"${++seq}"}]}`;
  for (const [socket, heads] of sockets) for (const head of heads) socket.send(head + row);
});
await listener.connect();
await listener.query(`LISTEN ${CHANNEL}`);

const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  const heads: string[] = [];
  sockets.set(socket, heads);
  socket.send('{"type":"auth_success"}');
  socket.on('message', (data) => {
    const { subscription } = JSON.parse(String(data)) as { readonly subscription: { readonly id: string } };
    heads.push(`{"type":"change","subscription_id":"${subscription.id}","change_type":"insert",`);
    socket.send(`{"type":"subscription_ack","subscription_id":"${subscription.id}"}`);
  });
  socket.on('close', () => sockets.delete(socket));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.((server.address() as AddressInfo).port);
process.on('disconnect', () => process.exit(0));

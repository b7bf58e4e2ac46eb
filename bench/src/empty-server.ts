// An empty handler of the same HTTP server, to tell what the database adds. Prints its URL; ends with its standard input.

import { fastify } from 'fastify';

const server = fastify({ bodyLimit: 16 * 1024 * 1024 });
server.post('/v1/api/sql', (_request, reply) => {
  reply.header('content-type', 'application/json').send('{"status":"success","results":[],"took":0.001}');
});
console.log(await server.listen({ host: '127.0.0.1', port: 0 }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

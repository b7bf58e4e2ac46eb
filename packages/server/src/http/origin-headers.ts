import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Edge } from '../edge.ts';

/** Which pages of other origins may read answers, and whether with cookies. */
export interface OriginRules {
  /** `true`: all. */
  readonly origins: true | readonly string[];
  readonly credentials: boolean;
  /** Headers of answers that pages may read. */
  readonly exposed: readonly string[];
}

/** What takes headers of an answer. */
interface HeaderSink {
  header(name: string, value: string): unknown;
}

/** The rules of the settings `security.cors.*`. */
export function originRules({ config, origins }: Pick<Edge, 'config' | 'origins'>): OriginRules {
  return {
    origins: origins.any ? true : origins.named,
    credentials: config['security.cors.allow_credentials'],
    exposed: config['security.cors.expose_headers'],
  };
}

/**
 * Allows the page that a request comes from to read the answer. The plugin that does this for other routes, and answers preflights for all,
 * makes new options for each request, of pages or not, which takes more than 1 us.
 */
export function allowOrigin(
  { origins, credentials, exposed }: OriginRules,
  { headers: { origin } }: { readonly headers: IncomingHttpHeaders },
  reply: HeaderSink,
): void {
  reply.header('vary', 'Origin');
  if (origin === undefined) return;
  if (origins === true || origins.includes(origin)) reply.header('access-control-allow-origin', origin);
  if (credentials) reply.header('access-control-allow-credentials', 'true');
  if (exposed.length > 0) reply.header('access-control-expose-headers', exposed.join(', '));
}

/** Answers preflights of public pages that want to call a server in a private network. */
export function allowPrivateNetwork(request: FastifyRequest, reply: FastifyReply): void {
  if (request.headers['access-control-request-private-network'] === 'true') reply.header('access-control-allow-private-network', 'true');
}

import type { FastifyRequest } from 'fastify';
import type { Edge } from '../edge.ts';
import { clientAddress, isLoopback } from './client-address.ts';

/** The address that a request counts as. */
export function addressOf({ proxies }: Pick<Edge, 'proxies'>, { headers, socket }: Pick<FastifyRequest, 'headers' | 'socket'>): string {
  return clientAddress({ peer: socket.remoteAddress, headers }, proxies);
}

/** Whether a request counts as coming from this machine (wire-protocol 1.3), and not from somebody else's page in a browser on it. */
export function isLocal(edge: Pick<Edge, 'proxies' | 'origins'>, request: Pick<FastifyRequest, 'headers' | 'socket'>): boolean {
  return isLoopback(addressOf(edge, request)) && edge.origins.countsAsLocal(request.headers.origin);
}

import type { FastifyReply, FastifyRequest } from 'fastify';

/** Whether an error is one of the HTTP library's own. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** What the library holds the client's fault, such as a body that is no body; `undefined` for everything else. */
export function clientFault(error: unknown): { readonly status: number; readonly message: string } | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return undefined;
  const { code, statusCode: status } = error;
  if (typeof code !== 'string' || !code.startsWith('FST_') || typeof status !== 'number' || status < 400 || status > 499) return undefined;
  return { status, message: error.message };
}

/** With an error the library asks for the end of the connection, which HTTP/2 has no header for. */
export function keepConnection(request: FastifyRequest, reply: FastifyReply): void {
  if (request.raw.httpVersionMajor === 2) reply.removeHeader('connection');
}

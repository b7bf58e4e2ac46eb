import type { ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import type { FastifyReply } from 'fastify';
import type { Edge } from '../../edge.ts';
import { AnswerStreams } from './answer-streams.ts';
import { acceptedEncoding, type ContentEncoding, compress, compressed } from './compression.ts';
import type { Envelope } from './sql-envelope.ts';

/** Sends the answers of SQL requests: short ones at once, long ones as they are read, and compressed for whoever asks for it. */
export class SqlAnswers {
  readonly #streams: AnswerStreams;
  /** Characters from which on an answer is compressed; `undefined`: none is. */
  readonly #compressedFrom: number | undefined;
  readonly #log: Edge['log'];

  constructor({ config, clock, timers, log }: Pick<Edge, 'config' | 'clock' | 'timers' | 'log'>) {
    this.#log = log;
    this.#streams = new AnswerStreams({ clock, timers });
    this.#compressedFrom = config['server.compression'] ? config['server.compression_min_bytes'] : undefined;
  }

  /** Answers that are being read. */
  get streams(): number {
    return this.#streams.count;
  }

  /** Sends a body with status 200. Resolves when it has been handed over. */
  send(reply: FastifyReply, body: Envelope): FastifyReply | Promise<FastifyReply> {
    reply.header('content-type', 'application/json');
    const from = this.#compressedFrom;
    if (typeof body === 'string') {
      if (from === undefined || body.length < from) return reply.send(body);
      const encoding = encodingFor(reply);
      return encoding === undefined ? reply.send(body) : sendCompressed(reply, body, encoding);
    }
    const stream = this.#streams.open(body, (err) => {
      this.#log.warn({ err, request: reply.request.id }, 'an answer was cut off');
      breakOff(reply.raw);
    });
    const encoding = from === undefined ? undefined : encodingFor(reply);
    if (encoding === undefined) return reply.send(stream);
    return reply.header('content-encoding', encoding).send(compressed(stream, encoding));
  }
}

/** An HTTP/2 stream that is only destroyed ends as a whole one does; over HTTP/1.1 the connection ends with the body, before its end is written. */
function breakOff(raw: ServerResponse | Http2ServerResponse): void {
  if ('stream' in raw) raw.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}

/** The encoding for an answer that could be compressed; a cache in between is told that it depends on the request. */
function encodingFor(reply: FastifyReply): ContentEncoding | undefined {
  const vary = reply.getHeader('vary');
  reply.header('vary', vary === undefined ? 'Accept-Encoding' : `${String(vary)}, Accept-Encoding`);
  const accepted = reply.request.headers['accept-encoding'];
  return acceptedEncoding(typeof accepted === 'string' ? accepted : undefined);
}

async function sendCompressed(reply: FastifyReply, body: string, encoding: ContentEncoding): Promise<FastifyReply> {
  const bytes = await compress(Buffer.from(body), encoding);
  return reply.header('content-encoding', encoding).send(bytes);
}

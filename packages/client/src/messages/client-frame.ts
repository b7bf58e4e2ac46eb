import { jsonText } from './json-text.ts';

/** Members of a `subscribe` message's options, as the wire spells them. */
export interface WireSubscribeOptions {
  readonly batch_size?: number | undefined;
  readonly last_rows?: number | undefined;
  readonly from?: bigint | undefined;
  /** The state that is read holds this commit (the extension `commit-token`). */
  readonly at_least?: string | undefined;
}

/** A subscription id that no subscription has: asking for its next batch makes every server answer with an `error` frame. */
export const PROBE_ID = 'kalam-client-probe';

/** How the client wants to be spoken to; extensions that a server does not know mean nothing to it. */
const protocol = { serialization: 'json', compression: 'gzip', extensions: ['progress', 'window', 'commit-token'] } as const;

/** A position behind every row. */
const SEQ_MAX = 2n ** 63n - 1n;

/** The first message: proves who this is. `serialization` and `compression` are mandatory on the wire. */
export function authenticateText(token: string): string {
  return jsonText({ type: 'authenticate', method: 'jwt', token, protocol });
}

/** Asks for a snapshot and everything after it. */
export function subscribeText(id: string, sql: string, options: WireSubscribeOptions): string {
  return jsonText({ type: 'subscribe', subscription: { id, sql, options } });
}

/** Asks for the batch after `lastSeq`. */
export function nextBatchText(id: string, lastSeq: bigint | undefined): string {
  return jsonText({ type: 'next_batch', subscription_id: id, last_seq_id: lastSeq });
}

/**
 * Asks for the batch behind every row, which is empty: the server answers when it has sent everything that the subscription has
 * missed, and in order with it, so the answer tells that the client has caught up.
 */
export function barrierText(id: string): string {
  return nextBatchText(id, SEQ_MAX);
}

/** Ends a subscription; there is no answer. */
export function unsubscribeText(id: string): string {
  return jsonText({ type: 'unsubscribe', subscription_id: id });
}

/** Tells the server that this side lives; there is no answer. */
export const PING_TEXT = '{"type":"ping"}';

/** Like a ping, but answered, which `ping` is not: the wire has no pong and browsers cannot send WebSocket pings. */
export const PROBE_TEXT: string = nextBatchText(PROBE_ID, undefined);

import type { SubscribeOptions } from '@kalamdb/engine';
import { type JsonObject, type JsonValue, kalamError, parseJson } from '@kalamdb/protocol';
import { isObject, nameOf, seqOf } from '../http/request-body.ts';

const COUNT_MAX = 4_294_967_295;

/** What a client wants for its frames. */
export interface WantedProtocol {
  readonly serialization: 'json' | 'msgpack';
  readonly compression: 'none' | 'gzip';
  /** Names of protocol extensions, known or not; `undefined`: the client knows of none. */
  readonly extensions: readonly string[] | undefined;
}

/** A message of the client, understood (wire-protocol 4.2 and 4.4). */
export type ClientMessage =
  | { readonly kind: 'authenticate'; readonly token: string; readonly protocol: WantedProtocol }
  | { readonly kind: 'subscribe'; readonly id: string; readonly sql: string; readonly options: SubscribeOptions | undefined }
  | { readonly kind: 'next-batch'; readonly id: string; readonly lastSeq: bigint | undefined }
  | { readonly kind: 'unsubscribe'; readonly id: string }
  | { readonly kind: 'ping' };

/** Reads a text frame: {@link clientMessageOf} its JSON. */
export function readClientMessage(text: string): ClientMessage {
  return clientMessageOf(parseJson(text));
}

/**
 * Understands a value that a frame held. 64-bit integers are exact; unknown members are ignored. Throws INVALID_INPUT with a
 * text that fits behind `Invalid message: `; nothing else, whatever the value is.
 */
export function clientMessageOf(value: JsonValue): ClientMessage {
  if (!isObject(value)) throw refused('missing field `type`');
  const type = textMember(value, 'type');
  switch (type) {
    case 'authenticate':
      return readAuthenticate(value);
    case 'subscribe':
      return readSubscribe(objectMember(value, 'subscription'));
    case 'next_batch':
      return { kind: 'next-batch', id: textMember(value, 'subscription_id'), lastSeq: seqMember(value, 'last_seq_id') };
    case 'unsubscribe':
      return { kind: 'unsubscribe', id: textMember(value, 'subscription_id') };
    case 'ping':
      return { kind: 'ping' };
    default:
      throw refused(
        `unknown variant \`${type.slice(0, 30)}\`, expected one of \`authenticate\`, \`subscribe\`, \`next_batch\`, \`unsubscribe\`, \`ping\``,
      );
  }
}

function readAuthenticate(message: JsonObject): ClientMessage {
  const method = textMember(message, 'method');
  if (method !== 'jwt') throw refused(`unknown method \`${method.slice(0, 30)}\`, expected \`jwt\``);
  const protocol = objectMember(message, 'protocol');
  return {
    kind: 'authenticate',
    token: textMember(message, 'token'),
    protocol: {
      serialization: choiceMember(protocol, 'serialization', ['json', 'msgpack']),
      compression: choiceMember(protocol, 'compression', ['none', 'gzip']),
      extensions: namesMember(protocol, 'extensions'),
    },
  };
}

function readSubscribe(subscription: JsonObject): ClientMessage {
  const options = subscription['options'];
  if (options !== undefined && options !== null && !isObject(options))
    throw refused(`invalid type: ${nameOf(options)}, expected an object`);
  return {
    kind: 'subscribe',
    id: textMember(subscription, 'id'),
    sql: textMember(subscription, 'sql'),
    options: isObject(options) ? readOptions(options) : undefined,
  };
}

function readOptions(options: JsonObject): SubscribeOptions {
  const batchSize = countMember(options, 'batch_size');
  const lastRows = countMember(options, 'last_rows');
  const from = seqMember(options, 'from') ?? seqMember(options, 'from_seq_id');
  const atLeast = seqMember(options, 'at_least');
  return {
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(lastRows === undefined ? {} : { lastRows }),
    ...(from === undefined ? {} : { from }),
    ...(atLeast === undefined ? {} : { atLeast }),
  };
}

function textMember(object: JsonObject, name: string): string {
  const value = object[name];
  if (value === undefined) throw refused(`missing field \`${name}\``);
  if (typeof value !== 'string') throw refused(`invalid type: ${nameOf(value)}, expected a string for \`${name}\``);
  return value;
}

function objectMember(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  if (value === undefined) throw refused(`missing field \`${name}\``);
  if (!isObject(value)) throw refused(`invalid type: ${nameOf(value)}, expected an object for \`${name}\``);
  return value;
}

function choiceMember<C extends string>(object: JsonObject, name: string, choices: readonly C[]): C {
  const text = textMember(object, name);
  const found = choices.find((choice) => choice === text);
  if (found === undefined)
    throw refused(`unknown variant \`${text.slice(0, 30)}\`, expected one of ${choices.map((choice) => `\`${choice}\``).join(', ')}`);
  return found;
}

function namesMember(object: JsonObject, name: string): readonly string[] | undefined {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((one): one is string => typeof one === 'string'))
    throw refused(`invalid type: ${nameOf(value).slice(0, 40)}, expected a list of strings for \`${name}\``);
  return value;
}

function countMember(object: JsonObject, name: string): number | undefined {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > COUNT_MAX) throw wrongInteger(value, name);
  return value;
}

/** A 64-bit integer; decimal text is accepted too, for clients that cannot write large integers. */
function seqMember(object: JsonObject, name: string): bigint | undefined {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  const seq = seqOf(value);
  if (seq === undefined) throw wrongInteger(value, name);
  return seq;
}

function wrongInteger(value: JsonValue, name: string): Error {
  return refused(`invalid value: ${nameOf(value).slice(0, 40)}, expected an integer for \`${name}\``);
}

function refused(reason: string): Error {
  return kalamError('INVALID_INPUT', { reason });
}

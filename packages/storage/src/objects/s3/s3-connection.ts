import { Buffer } from 'node:buffer';
import { type Clock, KalamError, kalamError, type Random, type Timers } from '@kalamdb/protocol';
import { AwsV4Signer } from 'aws4fetch';
import { linkSignals, type Patience, TryAgain, Watchdog, withTries } from '../patience.ts';
import { networkFailure, type S3Refusal, s3Failure } from './s3-failure.ts';
import type { S3Settings } from './s3-settings.ts';
import { childText, parseXml, type XmlElement } from './xml-tree.ts';

/** Bytes of an answer that is a document at most: a page of a listing is the longest. */
const DOCUMENT_BYTES_MAX = 16 * 1_048_576;
/** What the slowest link that is put up with sends in a millisecond. */
const UPLOAD_BYTES_PER_MILLI = 50;
/** The server's time counts when it differs by more than this; requests are refused at 15 minutes. */
const SKEW_MILLIS_MIN = 60_000;
/** Signing keys that are kept: there is one for each day. */
const SIGNING_KEYS_MAX = 8;
const RETRY_AFTER_SECONDS_MAX = 3_600;

/** One request. */
export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The object's name below the storage's prefix; `undefined` for requests about the bucket. */
  readonly key?: string | undefined;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Asked for anew for each try. */
  readonly headers?: (() => Readonly<Record<string, string>>) | undefined;
  readonly body?: Uint8Array | undefined;
  /** Names of refusals that the caller deals with itself: it gets {@link S3Refused}. */
  readonly tolerate?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A refusal that the request tolerates. */
export class S3Refused extends Error {
  readonly code: string;
  /** Whether an earlier try of the same request got no answer, and so may have been carried out. */
  readonly isRepeated: boolean;

  constructor(code: string, isRepeated: boolean) {
    super(code);
    this.code = code;
    this.isRepeated = isRepeated;
  }
}

/** An answer whose body is read as it comes. */
export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body, each piece within the time of {@link Patience.answerMillisMax}. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** What a connection is made of. */
export interface S3ConnectionOptions {
  readonly storage: string;
  readonly settings: S3Settings;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

interface HashedRequest extends S3Request {
  /** SHA-256 of the body, in hex. */
  readonly hash: string;
}

interface Attempt {
  /** See {@link S3Refused.isRepeated}. */
  readonly isRepeated: boolean;
  readonly watchdog: Watchdog;
}

/** Sends signed requests to one bucket, again where that may help. */
export class S3Connection {
  readonly #options: S3ConnectionOptions;
  readonly #closing = new AbortController();
  #signingKeys = new Map<string, ArrayBuffer>();
  /** What the server's clock is ahead of ours. */
  #skewMillis = 0;

  constructor(options: S3ConnectionOptions) {
    this.#options = options;
  }

  get storage(): string {
    return this.#options.storage;
  }

  get prefix(): string {
    return this.#options.settings.prefix;
  }

  /** Ends every request, also those to come. */
  close(): void {
    this.#closing.abort(kalamError('STORE_UNREACHABLE', { storage: this.storage, reason: 'it was closed' }));
  }

  /** Sends a request and has its answer read; when reading fails because the answer broke off, all of it is done again. */
  async exchange<T>(request: S3Request, read: (answer: S3Answer) => Promise<T>): Promise<T> {
    const { patience, timers, random } = this.#options;
    const { signal, release } = linkSignals([this.#closing.signal, request.signal]);
    try {
      const hash = await bodyHash(request.body);
      let isRepeated = false;
      return await withTries({ patience, timers, random, signal }, async () => {
        const watchdog = new Watchdog(timers, signal);
        try {
          return await this.#attempt({ ...request, hash }, { isRepeated, watchdog }, read);
        } catch (error) {
          if (error instanceof KalamError || error instanceof TryAgain || error instanceof S3Refused) throw error;
          signal.throwIfAborted();
          isRepeated = true;
          if (!watchdog.hasBitten) throw networkFailure({ storage: this.storage, key: request.key }, error);
          throw new TryAgain(kalamError('STORE_TIMEOUT', { storage: this.storage, millis: patience.answerMillisMax }));
        } finally {
          watchdog.stop();
        }
      });
    } finally {
      release();
    }
  }

  /** Sends a request whose answer is a document; `undefined` when it has none. */
  document(request: S3Request): Promise<XmlElement | undefined> {
    return this.exchange(request, async (answer) => {
      const text = await textOf(answer);
      if (text === '') return undefined;
      const document = parseXml(text);
      if (document === undefined) throw new TryAgain(this.refused('its answer is not a document'));
      // Some requests are answered before they are carried out; then a failure comes with status 200.
      if (document.name !== 'Error') return document;
      throw this.#failureOf(request, { status: 500, code: childText(document, 'Code') ?? '', retryAfterMillis: undefined }, true);
    });
  }

  /** The error for an answer that makes no sense. */
  refused(reason: string): KalamError {
    return kalamError('STORE_REQUEST_REFUSED', { storage: this.storage, reason });
  }

  async #attempt<T>(request: HashedRequest, { isRepeated, watchdog }: Attempt, read: (answer: S3Answer) => Promise<T>): Promise<T> {
    const { answerMillisMax } = this.#options.patience;
    watchdog.expect(answerMillisMax + (request.body?.length ?? 0) / UPLOAD_BYTES_PER_MILLI);
    const response = await this.#send(request, watchdog.signal);
    try {
      const pieces = piecesOf(response, () => watchdog.expect(answerMillisMax));
      const { status, headers } = response;
      if (!response.ok) throw await this.#refusal(request, { status, headers, pieces }, isRepeated);
      return await read({ status, headers, pieces });
    } finally {
      // A body that nobody has read to its end would keep its connection.
      await response.body?.cancel().catch(() => undefined);
    }
  }

  async #send({ hash, ...request }: HashedRequest, signal: AbortSignal): Promise<Response> {
    const { settings, clock } = this.#options;
    if (this.#signingKeys.size > SIGNING_KEYS_MAX) this.#signingKeys = new Map();
    const signer = new AwsV4Signer({
      method: request.method,
      url: this.#url(request),
      headers: { ...request.headers?.(), 'x-amz-content-sha256': hash },
      accessKeyId: settings.accessKeyId,
      secretAccessKey: settings.secretAccessKey,
      ...(settings.sessionToken === undefined ? {} : { sessionToken: settings.sessionToken }),
      service: 's3',
      region: settings.region,
      cache: this.#signingKeys,
      datetime: new Date(clock.now() + this.#skewMillis).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    });
    const { url, headers } = await signer.sign();
    const body = request.body === undefined ? {} : { body: request.body };
    // A redirect would take the signature to another host.
    return fetch(url, { method: request.method, headers, ...body, redirect: 'manual', signal });
  }

  #url({ key, query = {} }: S3Request): string {
    const { endpoint, bucket, prefix, pathStyle } = this.#options.settings;
    const base = pathStyle ? `${endpoint.origin}/${bucket}` : `${endpoint.protocol}//${bucket}.${endpoint.host}`;
    const path = key === undefined ? '' : `${prefix}${key}`.split('/').map(encode).join('/');
    const search = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`);
    return `${base}/${path}${search.length === 0 ? '' : `?${search.join('&')}`}`;
  }

  async #refusal(request: S3Request, answer: S3Answer, isRepeated: boolean): Promise<Error> {
    const document = parseXml(await textOf(answer));
    const code = document?.name === 'Error' ? (childText(document, 'Code') ?? '') : '';
    const retryAfter = Number(answer.headers.get('retry-after') ?? Number.NaN);
    const retryAfterMillis = retryAfter >= 0 && retryAfter <= RETRY_AFTER_SECONDS_MAX ? retryAfter * 1_000 : undefined;
    const refusal = { status: answer.status, code, retryAfterMillis };
    const mayBeTime = code === 'RequestTimeTooSkewed' || (answer.status === 403 && code === '');
    if (mayBeTime && this.#learnTime(answer.headers.get('date'))) {
      const failure = this.#failureOf(request, refusal, isRepeated);
      return failure instanceof KalamError ? new TryAgain(failure, 0) : failure;
    }
    return this.#failureOf(request, refusal, isRepeated);
  }

  #failureOf(request: S3Request, refusal: S3Refusal, isRepeated: boolean): KalamError | TryAgain | S3Refused {
    const code = refusal.code === '' && refusal.status === 412 ? 'PreconditionFailed' : refusal.code;
    if (request.tolerate?.includes(code) === true) return new S3Refused(code, isRepeated);
    return s3Failure({ storage: this.storage, key: request.key }, refusal);
  }

  /** Takes the server's time; `false` when it is no news. */
  #learnTime(date: string | null): boolean {
    const skewMillis = Date.parse(date ?? '') - this.#options.clock.now();
    if (!(Math.abs(skewMillis - this.#skewMillis) > SKEW_MILLIS_MIN)) return false;
    this.#skewMillis = skewMillis;
    return true;
  }
}

async function* piecesOf(response: Response, onNews: () => void): AsyncGenerator<Uint8Array> {
  onNews();
  if (response.body === null) return;
  for await (const piece of response.body) {
    onNews();
    yield piece;
  }
}

async function textOf({ pieces }: S3Answer): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > DOCUMENT_BYTES_MAX) throw new Error('the answer is too long');
    parts.push(piece);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function bodyHash(body: Uint8Array = new Uint8Array(0)): Promise<string> {
  return Buffer.from(await globalThis.crypto.subtle.digest('SHA-256', body)).toString('hex');
}

/** Everything but letters, digits and `-_.~` as `%XX`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

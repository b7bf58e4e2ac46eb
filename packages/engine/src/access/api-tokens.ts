import { createHash, timingSafeEqual } from 'node:crypto';
import { type Clock, isWellFormedText, KalamError, kalamError, type Random } from '@kalamdb/protocol';
import type { Catalog } from '../catalog/catalog.ts';
import { type ApiTokenRecord, apiTokenRepository } from '../catalog/system-tables/api-tokens.ts';
import type { AuditEntry } from '../catalog/system-tables/audit-log.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { Actor } from './users.ts';

/** Tokens that one user may have unless the configuration says otherwise. */
export const API_TOKENS_PER_USER_MAX = 100;
/** `last_used_at` is written at most once in this time. */
const LAST_USED_SAMPLE_MICROS = 60_000_000n;
/** Tokens whose secret was compared before; a request with one of them costs two map look-ups. */
const KNOWN_TOKENS_MAX = 10_000;
const NAME_CHARACTERS_MAX = 128;
const EXPIRY_DAYS_MAX = 3650;
const ID_BYTES = 8;
const SECRET_BYTES = 32;
const MICROS_PER_DAY = 86_400_000_000n;

const FORM = /^kdb_([0-9a-f]{16})_([0-9a-f]{64})$/;

/** What may be shown of a token. */
export type ApiToken = Omit<ApiTokenRecord, 'slot' | 'secretHash'>;

/** What a request with a token is: whose, and by which token. */
export type ApiTokenUse = Pick<ApiToken, 'tokenId' | 'userId'>;

/** A token to be made. */
export interface ApiTokenRequest {
  /** 1 to 128 characters. */
  readonly name: string;
  /** 1 to 3650; `undefined`: it does not expire. */
  readonly expiresInDays: number | undefined;
  /** Whose requests it makes; the actor's unless given. Whether the actor may is asked before. */
  readonly userId?: string | undefined;
}

/** A token that was just made: the only time that its text is known. */
export interface MadeApiToken {
  readonly token: ApiToken;
  readonly text: string;
}

/** What tokens are made of. */
export interface ApiTokenSources {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: AuditTrail;
  readonly perUserMax?: number | undefined;
  readonly warn: (text: string, detail: object) => void;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/**
 * Tokens for programs: `kdb_<id>_<secret>`, 64 and 256 random bits in hex. Stored is the SHA-256 of the secret, which needs
 * no slow hash: nobody guesses 256 bits. A token is worth what its user is when it is used; revoking it ends it at once.
 */
export class ApiTokens {
  readonly #sources: ApiTokenSources;
  readonly #perUserMax: number;
  /** By text. */
  readonly #known = new Map<string, ApiTokenUse>();
  readonly #touching = new Set<string>();

  constructor(sources: ApiTokenSources) {
    this.#sources = sources;
    this.#perUserMax = sources.perUserMax ?? API_TOKENS_PER_USER_MAX;
  }

  /** Whether a text has the form of a token; whether it is one is for {@link check} to say. */
  static isForm(text: string): boolean {
    return text.startsWith('kdb_');
  }

  /** Makes a token for the actor or for another user. Throws TOKEN_REQUEST_INVALID and TOO_MANY_TOKENS. */
  async create(request: ApiTokenRequest, actor: Actor): Promise<MadeApiToken> {
    const { name, expiresInDays, userId = actor.userId } = request;
    checkRequest(name, expiresInDays);
    const { audit, commit, random } = this.#sources;
    const tokenId = hex(random.bytes(ID_BYTES));
    const secret = hex(random.bytes(SECRET_BYTES));
    const record = await commit((writer) => {
      const createdAtMicros = writer.nowMicros;
      const made: ApiTokenRecord = {
        tokenId,
        userId,
        name,
        createdAtMicros,
        expiresAtMicros: expiresInDays === undefined ? undefined : createdAtMicros + BigInt(expiresInDays) * MICROS_PER_DAY,
        lastUsedAtMicros: undefined,
        slot: this.#freeSlot(writer, userId),
        secretHash: sha256(secret).toString('hex'),
      };
      apiTokenRepository.put(writer, made);
      audit.append(writer, { ...eventOf(made, actor), action: 'CREATE_API_TOKEN' });
      return made;
    });
    return { token: shown(record), text: `kdb_${tokenId}_${secret}` };
  }

  /** The tokens of one user or of all, oldest first, expired ones included. */
  list(userId?: string): readonly ApiToken[] {
    const found = [...this.#sources.catalog.apiTokens()].filter((token) => userId === undefined || token.userId === userId);
    return found.sort((a, b) => Number(a.createdAtMicros - b.createdAtMicros)).map(shown);
  }

  /** A token that is not revoked. */
  find(tokenId: string): ApiToken | undefined {
    const record = this.#sources.catalog.apiToken(tokenId);
    return record === undefined ? undefined : shown(record);
  }

  /** Ends a token, also for whoever uses it now; `false` when there is none. */
  revoke(tokenId: string, actor: Actor): Promise<boolean> {
    const { audit, catalog, commit } = this.#sources;
    return commit((writer) => {
      const seen = catalog.apiToken(tokenId);
      const record = seen === undefined ? undefined : apiTokenRepository.latest(writer, seen.userId, seen.slot);
      if (record === undefined || record.tokenId !== tokenId) return false;
      apiTokenRepository.remove(writer, record);
      audit.append(writer, { ...eventOf(record, actor), action: 'REVOKE_API_TOKEN' });
      return true;
    });
  }

  /** Whose token a text is, at once. Throws TOKEN_REFUSED and TOKEN_EXPIRED. */
  check(text: string): ApiTokenUse {
    const use = this.#known.get(text) ?? this.#compared(text);
    const record = this.#sources.catalog.apiToken(use.tokenId);
    if (record === undefined) {
      this.#known.delete(text);
      throw kalamError('TOKEN_REFUSED');
    }
    if (this.#isOver(record)) throw kalamError('TOKEN_EXPIRED');
    this.#touch(record);
    return use;
  }

  /** Whether a token that was checked before may still be used. */
  isValid(tokenId: string): boolean {
    const record = this.#sources.catalog.apiToken(tokenId);
    return record !== undefined && !this.#isOver(record);
  }

  /** The token whose secret a text holds. An id is never given out again, so that what was found holds while the id is stored. */
  #compared(text: string): ApiTokenUse {
    const [, tokenId = '', secret = ''] = FORM.exec(text) ?? [];
    const record = this.#sources.catalog.apiToken(tokenId);
    // An unknown id costs what a wrong secret costs.
    const stored = Buffer.from(record?.secretHash ?? '0'.repeat(SECRET_BYTES * 2), 'hex');
    const matches = timingSafeEqual(stored, sha256(secret));
    if (!matches || record === undefined) throw kalamError('TOKEN_REFUSED');
    if (this.#known.size >= KNOWN_TOKENS_MAX) this.#forgetOldest();
    const use = { tokenId, userId: record.userId };
    this.#known.set(text, use);
    return use;
  }

  #forgetOldest(): void {
    const oldest = this.#known.keys().next();
    if (oldest.done !== true) this.#known.delete(oldest.value);
  }

  #isOver({ expiresAtMicros }: ApiTokenRecord): boolean {
    return expiresAtMicros !== undefined && expiresAtMicros <= this.#nowMicros();
  }

  #nowMicros(): bigint {
    return BigInt(Math.trunc(this.#sources.clock.now())) * 1000n;
  }

  /** Nobody waits for the time of the last use. */
  #touch({ tokenId, userId, slot, lastUsedAtMicros }: ApiTokenRecord): void {
    if (lastUsedAtMicros !== undefined && this.#nowMicros() - lastUsedAtMicros < LAST_USED_SAMPLE_MICROS) return;
    if (this.#touching.has(tokenId)) return;
    this.#touching.add(tokenId);
    this.#sources
      .commit((writer) => {
        const record = apiTokenRepository.latest(writer, userId, slot);
        if (record?.tokenId === tokenId) apiTokenRepository.put(writer, { ...record, lastUsedAtMicros: writer.nowMicros });
      })
      .catch((error: unknown) => {
        if (error instanceof KalamError && error.code === 'SHUTTING_DOWN') return;
        this.#sources.warn('the last use of an API token could not be written', { error });
      })
      .finally(() => this.#touching.delete(tokenId));
  }

  /** The first slot that no token is in; an expired one gives its slot up. */
  #freeSlot(writer: SystemWriter, userId: string): number {
    for (let slot = 0; slot < this.#perUserMax; slot++) {
      const record = apiTokenRepository.latest(writer, userId, slot);
      if (record === undefined || this.#isOver(record)) return slot;
    }
    throw kalamError('TOO_MANY_TOKENS', { max: this.#perUserMax });
  }
}

function eventOf({ tokenId, userId, name }: ApiTokenRecord, actor: Actor): Omit<AuditEntry, 'action'> {
  const subject = userId === actor.userId ? undefined : userId;
  return { actor: actor.userId, target: `api_token:${tokenId}`, details: name, address: actor.address, subject };
}

function checkRequest(name: string, expiresInDays: number | undefined): void {
  if (name.trim() === '' || name.length > NAME_CHARACTERS_MAX || !isWellFormedText(name)) {
    throw kalamError('TOKEN_REQUEST_INVALID', { reason: `'name' must have 1 to ${NAME_CHARACTERS_MAX} characters` });
  }
  if (expiresInDays === undefined) return;
  if (!Number.isInteger(expiresInDays) || expiresInDays < 1 || expiresInDays > EXPIRY_DAYS_MAX) {
    throw kalamError('TOKEN_REQUEST_INVALID', { reason: `'expires_in_days' must be a whole number from 1 to ${EXPIRY_DAYS_MAX}` });
  }
}

function shown({ tokenId, userId, name, createdAtMicros, expiresAtMicros, lastUsedAtMicros }: ApiTokenRecord): ApiToken {
  return { tokenId, userId, name, createdAtMicros, expiresAtMicros, lastUsedAtMicros };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

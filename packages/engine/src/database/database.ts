import type { Durability } from '@kalamdb/storage';
import type { Accounts } from '../access/accounts.ts';
import type { ApiTokens } from '../access/api-tokens.ts';
import type { Users } from '../access/users.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { Principal } from '../contract.ts';
import type { Live } from '../live/live.ts';
import type { CommitWait } from '../sequencer/commit-wait.ts';
import { Session, type SessionOptions, type SessionServices } from '../session/session.ts';
import type { DatabaseFigures } from './figures.ts';

/** Figures of a running database. */
export interface DatabaseStatus {
  readonly durability: Durability;
  /** Name of the newest commit that readers see. */
  readonly watermark: bigint;
  /** Name of the newest commit in the hot tier. */
  readonly appliedSeq: bigint;
  /** Changes when a database is restored, so that cursors of another life are recognised. */
  readonly incarnation: string;
  readonly startedAtMillis: number;
  /** The longest time that the event loop was busy at a stretch since the database was opened. */
  readonly longestBlockMillis: number;
  /** 99 of 100 times that the event loop was looked at, it had been busy for at most this long. */
  readonly blockP99Millis: number;
  readonly nodeId: number;
}

/** What a {@link Database} is put together from. */
export interface DatabaseParts {
  readonly directory: string | undefined;
  readonly accounts: Accounts;
  readonly users: Users;
  readonly apiTokens: ApiTokens;
  readonly live: Live;
  readonly commitWait: CommitWait;
  readonly cold: ColdTier | undefined;
  readonly services: SessionServices;
  secret(name: string, bytes: number): Promise<Uint8Array>;
  status(): DatabaseStatus;
  figures(): DatabaseFigures;
  trouble(): string | undefined;
  /** Ends everything in the order that nothing depends on what has ended. */
  close(): Promise<void>;
}

/** An open database, usable without a network. */
export class Database {
  /** Where the data lies; `undefined` in memory. */
  readonly directory: string | undefined;
  readonly accounts: Accounts;
  readonly users: Users;
  readonly apiTokens: ApiTokens;
  readonly live: Live;
  /** Lets readers wait for a commit that they know of. */
  readonly commitWait: CommitWait;
  /** What reads and writes segments; `undefined` in memory. */
  readonly cold: ColdTier | undefined;
  readonly #parts: DatabaseParts;
  #closed: Promise<void> | undefined;

  constructor(parts: DatabaseParts) {
    this.directory = parts.directory;
    this.accounts = parts.accounts;
    this.users = parts.users;
    this.apiTokens = parts.apiTokens;
    this.live = parts.live;
    this.commitWait = parts.commitWait;
    this.cold = parts.cold;
    this.#parts = parts;
  }

  /** A session of a principal that authentication has established. It needs no closing. */
  session(principal: Principal, options: SessionOptions = {}): Session {
    return new Session(this.#parts.services, principal, options);
  }

  /** A secret that is made once and stays with the data, for example the key that signs tokens. */
  secret(name: string, bytes: number): Promise<Uint8Array> {
    return this.#parts.secret(name, bytes);
  }

  status(): DatabaseStatus {
    return this.#parts.status();
  }

  /** What it does and holds, for metrics. Costs nothing until it is asked for. */
  figures(): DatabaseFigures {
    return this.#parts.figures();
  }

  /** Why no write will succeed until the database is opened again; `undefined` as long as all is well. */
  trouble(): string | undefined {
    return this.#parts.trouble();
  }

  /** Ends live queries, makes pending commits durable, applies them, and gives the directory free. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#parts.close();
    return this.#closed;
  }
}

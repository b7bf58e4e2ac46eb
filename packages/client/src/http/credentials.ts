import type { Random, Timers } from '@kalamdb/protocol';
import { clientError, KalamClientError, KalamServerError, reasonOf } from '../client-error.ts';
import type { AuthCredentials, AuthProvider, BasicAuthCredentials } from './auth.ts';
import type { LoginResponse } from './http-api.ts';

/** How patiently the application is asked. */
interface CredentialsSettings {
  readonly provider: AuthProvider;
  readonly attemptsMax: number;
  readonly backoffMillis: number;
  readonly backoffMillisMax: number;
  readonly timers: Timers;
  readonly random: Random;
  /** Exchanges user and password for tokens. */
  readonly login: (credentials: BasicAuthCredentials) => Promise<LoginResponse>;
}

/**
 * The token of a client. It is obtained at first use, kept, and obtained again after {@link invalidate}; requests that need it
 * at the same time share one call of the provider. A provider that throws is asked again with doubling, jittered pauses.
 */
export class Credentials {
  readonly #settings: CredentialsSettings;
  #token: string | undefined;
  #pending: Promise<string | undefined> | undefined;
  #type: AuthCredentials['type'] | undefined;

  constructor(settings: CredentialsSettings) {
    this.#settings = settings;
  }

  /** What the provider gave last; `undefined` before it was asked. */
  get type(): AuthCredentials['type'] | undefined {
    return this.#type;
  }

  /** The token; `undefined` when the provider says `none`. Rejects with `CREDENTIALS_FAILED`, or with what login answered. */
  token(): Promise<string | undefined> {
    if (this.#token !== undefined) return Promise.resolve(this.#token);
    this.#pending ??= this.#obtain().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** Forgets a token that the server does not accept. One that was replaced meanwhile stays. */
  invalidate(token: string): void {
    if (this.#token === token) this.#token = undefined;
  }

  /** Uses a token that came from elsewhere, until the server refuses it. */
  adopt(token: string): void {
    this.#token = token;
  }

  /** Logs in now, whatever token there is. Throws `LOGIN_NEEDS_PASSWORD` unless the provider gives user and password. */
  async login(): Promise<LoginResponse> {
    const credentials = await this.#ask();
    if (credentials.type !== 'basic') throw clientError('LOGIN_NEEDS_PASSWORD', {});
    const response = await this.#settings.login(credentials);
    this.#token = response.access_token;
    return response;
  }

  async #obtain(): Promise<string | undefined> {
    const credentials = await this.#ask();
    if (credentials.type === 'none') return undefined;
    this.#token = credentials.type === 'jwt' ? credentials.token : await this.#exchange(credentials);
    return this.#token;
  }

  async #exchange(credentials: BasicAuthCredentials): Promise<string> {
    return (await this.#settings.login(credentials)).access_token;
  }

  async #ask(): Promise<AuthCredentials> {
    const { provider, attemptsMax, backoffMillis, backoffMillisMax } = this.#settings;
    for (let attempt = 1; ; attempt++) {
      try {
        const credentials = await provider();
        this.#type = credentials.type;
        return credentials;
      } catch (error) {
        const final = attempt >= attemptsMax || isFinal(error);
        if (final) throw clientError('CREDENTIALS_FAILED', { attempts: attempt, reason: reasonOf(error) }, error);
        await this.#pause(Math.min(backoffMillis * 2 ** (attempt - 1), backoffMillisMax));
      }
    }
  }

  #pause(millis: number): Promise<void> {
    const { timers, random } = this.#settings;
    return new Promise((resolve) => {
      timers.after(millis * (0.5 + random.uniform() / 2), resolve, { keepAlive: true });
    });
  }
}

/** A refusal stays one however often it is repeated. */
function isFinal(error: unknown): boolean {
  return (error instanceof KalamServerError || error instanceof KalamClientError) && !error.retryable;
}

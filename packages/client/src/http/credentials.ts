import { clientError, KalamClientError, KalamServerError, reasonOf } from '../client-error.ts';
import type { ClientSettings } from '../client-options.ts';
import type { AuthCredentials, BasicAuthCredentials } from './auth.ts';
import type { LoginResponse } from './http-api.ts';

/** How patiently the application is asked. */
type CredentialsSettings = Pick<
  ClientSettings,
  'authProvider' | 'authProviderMaxAttempts' | 'authProviderInitialBackoffMs' | 'authProviderMaxBackoffMs' | 'timers' | 'random'
>;
/** Exchanges user and password for tokens. */
type Login = (credentials: BasicAuthCredentials, signal?: AbortSignal) => Promise<LoginResponse>;

/**
 * The token of a client. It is obtained at first use, kept, and obtained again after {@link invalidate}; requests that need it
 * at the same time share one call of the provider. A provider that throws is asked again with doubling, jittered pauses.
 */
export class Credentials {
  readonly #settings: CredentialsSettings;
  readonly #login: Login;
  #token: string | undefined;
  #pending: Promise<string | undefined> | undefined;
  #type: AuthCredentials['type'] | undefined;

  constructor(settings: CredentialsSettings, login: Login) {
    this.#settings = settings;
    this.#login = login;
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

  /** Does something with the token. If the server calls that expired it is done once more with a new one; so it is with one refused, if the provider gives another. */
  async spend<T>(act: (token: string | undefined) => Promise<T>): Promise<T> {
    const token = await this.token();
    try {
      return await act(token);
    } catch (error) {
      if (token === undefined || !(error instanceof KalamServerError)) throw error;
      const expired = error.code === 'TOKEN_EXPIRED';
      if (!expired && error.code !== 'INVALID_CREDENTIALS') throw error;
      this.invalidate(token);
      const renewed = await this.token();
      if (!expired && renewed === token) throw error;
      return await act(renewed);
    }
  }

  /** Logs in now, whatever token there is. Throws `LOGIN_NEEDS_PASSWORD` unless the provider gives user and password. */
  async login(signal?: AbortSignal): Promise<LoginResponse> {
    const credentials = await this.#ask();
    if (credentials.type !== 'basic') throw clientError('LOGIN_NEEDS_PASSWORD', {});
    const response = await this.#login(credentials, signal);
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
    return (await this.#login(credentials)).access_token;
  }

  async #ask(): Promise<AuthCredentials> {
    const settings = this.#settings;
    for (let attempt = 1; ; attempt++) {
      try {
        const credentials = await settings.authProvider();
        this.#type = credentials.type;
        return credentials;
      } catch (error) {
        const final = attempt >= settings.authProviderMaxAttempts || isFinal(error);
        if (final) throw clientError('CREDENTIALS_FAILED', { attempts: attempt, reason: reasonOf(error) }, error);
        await this.#pause(Math.min(settings.authProviderInitialBackoffMs * 2 ** (attempt - 1), settings.authProviderMaxBackoffMs));
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

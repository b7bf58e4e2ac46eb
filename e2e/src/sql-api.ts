/** An answer of the SQL endpoint. */
export interface SqlAnswer {
  readonly status: number;
  readonly results: readonly {
    readonly message?: string;
    readonly schema?: readonly { readonly name: string }[];
    readonly rows?: readonly (readonly unknown[])[];
  }[];
  /** The message of the error, if it is one. */
  readonly error: string | undefined;
}

/** Whether a request failed because there is no server, or it is about to stop. */
export const isAway = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof Error && error.message.includes('The server is shutting down'));

/** A server's HTTP API as users that have logged in once: their tokens outlive its restarts. */
export class Api {
  url = '';
  readonly #tokens = new Map<string, string>();

  async login(user: string, password: string): Promise<void> {
    const { body } = await this.#post('/v1/api/auth/login', { user, password }, undefined);
    const token = body['access_token'];
    if (typeof token !== 'string') throw new Error(`${user} cannot log in: ${JSON.stringify(body)}`);
    this.#tokens.set(user, token);
  }

  token(user: string): string {
    return this.#tokens.get(user) ?? '';
  }

  /** Rejects when no whole answer came. */
  async sql(user: string, sql: string): Promise<SqlAnswer> {
    const { status, body } = await this.#post('/v1/api/sql', { sql }, this.token(user));
    const { results = [], error } = body as Partial<Pick<SqlAnswer, 'results'>> & { readonly error?: { readonly message?: string } | null };
    return { status, results, error: status === 200 ? undefined : (error?.message ?? JSON.stringify(body)) };
  }

  /** The answer as it came. Rejects when no whole answer came. */
  async request(user: string, sql: string, params: readonly unknown[] = []): Promise<{ readonly status: number; readonly body: string }> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.token(user)}` };
    const response = await fetch(`${this.url}/v1/api/sql`, { method: 'POST', headers, body: JSON.stringify({ sql, params }) });
    return { status: response.status, body: await response.text() };
  }

  /** The rows of each SELECT in the text; throws when it is refused. */
  async rows(user: string, sql: string): Promise<readonly (readonly (readonly unknown[])[])[]> {
    const { results, error } = await this.sql(user, sql);
    if (error !== undefined) throw new Error(`${user}: ${sql}: ${error}`);
    return results.flatMap(({ rows }) => (rows === undefined || rows === null ? [] : [rows]));
  }

  async #post(path: string, json: object, token: string | undefined): Promise<{ status: number; body: Readonly<Record<string, unknown>> }> {
    const headers = { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    const response = await fetch(`${this.url}${path}`, { method: 'POST', headers, body: JSON.stringify(json) });
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> };
  }
}

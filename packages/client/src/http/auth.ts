/** User and password; exchanged for a token by login, never sent with other requests. */
export interface BasicAuthCredentials {
  readonly type: 'basic';
  readonly username: string;
  readonly password: string;
}

/** A token that the application obtained itself. */
export interface JwtAuthCredentials {
  readonly type: 'jwt';
  readonly token: string;
}

/** Nothing: only requests that need no identity will work. */
export interface NoAuthCredentials {
  readonly type: 'none';
}

/** Who the client is. */
export type AuthCredentials = BasicAuthCredentials | JwtAuthCredentials | NoAuthCredentials;

/** Asked for credentials at the first use, and again whenever the server calls the token expired or refuses it. */
export type AuthProvider = () => Promise<AuthCredentials>;

/** Makes {@link AuthCredentials}. */
export const Auth: {
  basic(username: string, password: string): BasicAuthCredentials;
  jwt(token: string): JwtAuthCredentials;
  none(): NoAuthCredentials;
} = {
  basic: (username, password) => ({ type: 'basic', username, password }),
  jwt: (token) => ({ type: 'jwt', token }),
  none: () => ({ type: 'none' }),
};

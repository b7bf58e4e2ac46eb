/** Holds the access token. */
export const ACCESS_COOKIE = 'kalamdb_auth';
/** Holds the refresh token. */
export const REFRESH_COOKIE = 'kalamdb_refresh';

/** Longest cookie header that is searched. */
const HEADER_CHARACTERS_MAX = 65_536;

/** The value of one cookie of a request; `undefined` when it is absent or empty. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined || header.length > HEADER_CHARACTERS_MAX) return undefined;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) {
      const value = pair.slice(equals + 1).trim();
      return value === '' ? undefined : value;
    }
  }
  return undefined;
}

/** A `Set-Cookie` value with the flags of wire-protocol 2.3; expires at `expiresAtSeconds` since 1970. */
export function setCookie(name: string, value: string, options: { readonly expiresAtSeconds: number; readonly secure: boolean }): string {
  const expires = new Date(options.expiresAtSeconds * 1000).toUTCString();
  return `${name}=${value}; HttpOnly; SameSite=Strict; Path=/; Expires=${expires}${options.secure ? '; Secure' : ''}`;
}

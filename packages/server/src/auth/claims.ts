import { kalamError } from '@kalamdb/protocol';

/** How far the clocks of two machines may be apart. */
const LEEWAY_SECONDS = 60;
/** Longest token that is looked at. */
export const TOKEN_CHARACTERS_MAX = 8_192;

/** The members of a token's payload, before anybody has looked at them. */
export type RawClaims = Readonly<Record<string, unknown>>;

/** When a token may be used, in seconds since 1970. */
export interface TokenTimes {
  readonly expiresAtSeconds: number;
  readonly notBeforeSeconds: number;
}

/** The members of a payload. Throws TOKEN_REFUSED. */
export function parseClaims(payload: Uint8Array): RawClaims {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value));
  } catch (cause) {
    throw kalamError('TOKEN_REFUSED', {}, { cause });
  }
  throw kalamError('TOKEN_REFUSED');
}

/** Who a token says it is from, without any check: only good for choosing who shall check it. */
export function claimedIssuer(token: string): string | undefined {
  const [, payload = ''] = token.slice(0, TOKEN_CHARACTERS_MAX).split('.', 3);
  try {
    const { iss } = parseClaims(Buffer.from(payload, 'base64url'));
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}

/** `exp`, and the later of `nbf` and `iat`. Throws TOKEN_REFUSED when `exp` is missing or one of them is no number. */
export function timesOf({ exp, nbf, iat }: { readonly exp?: unknown; readonly nbf?: unknown; readonly iat?: unknown }): TokenTimes {
  const times = [exp, nbf ?? 0, iat ?? 0];
  if (!times.every((time): time is number => typeof time === 'number' && Number.isFinite(time))) throw kalamError('TOKEN_REFUSED');
  const [expiresAtSeconds = 0, ...starts] = times;
  return { expiresAtSeconds, notBeforeSeconds: Math.max(...starts) };
}

/** Throws TOKEN_EXPIRED for a token whose time is over, TOKEN_REFUSED for one whose time has not come; a minute of grace for both. */
export function checkTimes({ expiresAtSeconds, notBeforeSeconds }: TokenTimes, nowSeconds: number): void {
  if (expiresAtSeconds <= nowSeconds - LEEWAY_SECONDS) throw kalamError('TOKEN_EXPIRED');
  if (notBeforeSeconds > nowSeconds + LEEWAY_SECONDS) throw kalamError('TOKEN_REFUSED');
}

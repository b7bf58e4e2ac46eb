import type { ServerConfig } from '../config/settings.ts';
import { isLoopback } from './client-address.ts';

/**
 * Which pages of browsers may call. Every page may, unless origins are named. A page that may call is not thereby believed: what rests on
 * more than a token (a cookie, or a request's coming from this machine) is only for pages that are named, or served by this machine.
 */
export class PageOrigins {
  /** Pages of every origin may call. */
  readonly any: boolean;
  /** The origins of the settings, and `server.public_origin`; without a slash at the end. */
  readonly named: readonly string[];

  constructor(config: Pick<ServerConfig, 'security.cors.allowed_origins' | 'server.public_origin'>) {
    const allowed = config['security.cors.allowed_origins'];
    const own = config['server.public_origin'];
    this.any = allowed.length === 0 || allowed.includes('*');
    this.named = [...allowed.filter((origin) => origin !== '*'), ...(own === '' ? [] : [own])].map(originOf);
  }

  /** Whether pages of an origin may read answers and open WebSockets. */
  allows(origin: string): boolean {
    return this.any || this.named.includes(origin);
  }

  /**
   * Whether a request may count as one of this machine if it comes from its address: it is of no page, or of a page that is named or that
   * this machine serves. Any other page in a browser on this machine could ask in the name of whoever looks at it.
   */
  countsAsLocal(origin: string | undefined): boolean {
    return origin === undefined || this.named.includes(origin) || (URL.canParse(origin) && isLoopback(new URL(origin).hostname));
  }

  /**
   * Whether the cookies of a request count: as {@link countsAsLocal}, or it is of a page of the host that it is for. `SameSite` keeps
   * cookies from pages of other sites, but not from those of a neighbour below the same domain.
   */
  believesCookies(origin: string | undefined, host: string | undefined): boolean {
    return this.countsAsLocal(origin) || (origin !== undefined && URL.canParse(origin) && new URL(origin).host === host);
  }
}

/** As browsers write it. */
function originOf(text: string): string {
  return URL.canParse(text) && text.startsWith('http') ? new URL(text).origin : text;
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';

interface SigningKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

/** Keys by name: making one takes longer than a test. */
const madeKeys = new Map<string, Promise<readonly SigningKey[]>>();

/** How the issuer answers: as it should, not at all, or wrongly. */
export type IssuerMood = 'well' | 'silent' | 'failing' | 'endless' | 'redirecting' | 'foreign';

/** An issuer of OpenID Connect on this machine: discovery, a key set that can change, and tokens of any kind. */
export class LocalIssuer {
  mood: IssuerMood = 'well';
  /** Requests that came in. */
  requests = 0;
  readonly url: string;
  readonly #server: Server;
  #keys: readonly SigningKey[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (_request: IncomingMessage, response: ServerResponse) => {
      this.requests += 1;
      this.#answer(_request.url ?? '', response);
    });
  }

  static async start(): Promise<LocalIssuer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = new LocalIssuer(server);
    await issuer.rotate('one');
    return issuer;
  }

  /** From now on there are other keys, one of each algorithm. */
  async rotate(name: string): Promise<void> {
    const made =
      madeKeys.get(name) ?? Promise.all(['RS256', 'PS256', 'ES256'].map((algorithm) => newKey(`${name}-${algorithm}`, algorithm)));
    madeKeys.set(name, made);
    this.#keys = await made;
  }

  /** A token of this issuer for `sub`. */
  token(claims: Readonly<Record<string, unknown>>, algorithm = 'RS256'): Promise<string> {
    const { kid, privateKey } = this.#key(algorithm);
    return new SignJWT({ iss: this.url, exp: 4_102_444_800, ...claims }).setProtectedHeader({ alg: algorithm, kid }).sign(privateKey);
  }

  /** A token that takes the text of the public key for a shared secret. */
  async confused(claims: Readonly<Record<string, unknown>>): Promise<string> {
    const { kid, publicKey } = this.#key('RS256');
    const secret = new TextEncoder().encode(await exportSPKI(publicKey));
    return new SignJWT({ iss: this.url, exp: 4_102_444_800, ...claims }).setProtectedHeader({ alg: 'HS256', kid }).sign(secret);
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #key(algorithm: string): SigningKey {
    const key = this.#keys.find((one) => one.algorithm === algorithm);
    if (key === undefined) throw new Error(`there is no key for ${algorithm}`);
    return key;
  }

  #answer(path: string, response: ServerResponse): void {
    switch (this.mood) {
      case 'silent':
        return;
      case 'failing':
        response.writeHead(500).end();
        return;
      case 'endless':
        response.writeHead(200).end('['.repeat(1_000_000));
        return;
      case 'redirecting':
        response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
        return;
      case 'foreign':
      case 'well': {
        const issuer = this.mood === 'well' ? this.url : 'https://elsewhere.example';
        const body = path.endsWith('/openid-configuration')
          ? { issuer, jwks_uri: `${this.url}/keys` }
          : { keys: this.#keys.map(({ jwk }) => jwk) };
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        return;
      }
      default:
        this.mood satisfies never;
    }
  }
}

async function newKey(kid: string, algorithm: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { kid, algorithm, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' } };
}

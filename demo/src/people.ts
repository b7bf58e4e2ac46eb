import { randomBytes } from 'node:crypto';
import { Auth, createClient, type KalamDBClient } from '@kalamdb/client';

/** Who somebody is. */
export interface Person {
  readonly user: string;
  readonly password: string;
}

/** A password that lives as long as the demo. */
export function demoPassword(): string {
  return randomBytes(18).toString('base64url');
}

/** A client of its own for a person. */
export function connectAs(url: string, { user, password }: Person): KalamDBClient {
  return createClient({ url, authProvider: async () => Auth.basic(user, password) });
}

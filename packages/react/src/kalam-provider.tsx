import { KalamClientError, type KalamDBClient } from '@kalamdb/client';
import { createContext, type ReactNode, useContext, useMemo } from 'react';
import { QueryStore } from './query-store.ts';

/** How long a query that nobody uses any more stays open, in milliseconds: whoever comes back finds its rows. */
const graceMillisDefault = 1_000;

/** What the hooks below a provider work with. */
interface KalamContextValue {
  readonly client: KalamDBClient;
  readonly store: QueryStore;
  readonly graceMillis: number;
}

const KalamContext = createContext<KalamContextValue | undefined>(undefined);

/** What a {@link KalamProvider} is given. */
export interface KalamProviderProps {
  /** Made once, outside of components, and shut down by whoever made it. */
  readonly client: KalamDBClient;
  /** Milliseconds for which a query stays open that no component uses any more, `Infinity` for ever; 1,000. One that none uses yet stays five times as long. */
  readonly graceMillis?: number | undefined;
  readonly children?: ReactNode;
}

/**
 * Lets the components below use a client. Providers of the same client share their queries, so that mounting one again, or another
 * beside it, opens nothing twice.
 */
export function KalamProvider({ client, graceMillis = graceMillisDefault, children }: KalamProviderProps): ReactNode {
  const value = useMemo(() => ({ client, store: QueryStore.of(client), graceMillis }), [client, graceMillis]);
  return <KalamContext.Provider value={value}>{children}</KalamContext.Provider>;
}

/** The client of the nearest {@link KalamProvider}, for writes and single queries. Throws `INVALID_ARGUMENT` without one. */
export function useKalamClient(): KalamDBClient {
  return useKalamContext().client;
}

/** Everything of the nearest provider. Throws `INVALID_ARGUMENT` without one. */
export function useKalamContext(): KalamContextValue {
  const value = useContext(KalamContext);
  if (value === undefined) throw new KalamClientError('INVALID_ARGUMENT', 'KalamProvider: there is none above this component');
  return value;
}

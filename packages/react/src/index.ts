'use client';

export { KalamProvider, type KalamProviderProps, useKalamClient } from './kalam-provider.tsx';
export { type LiveQueryOptions, type LiveQueryResult, useLiveQuery, useSuspenseLiveQuery } from './use-live-query.ts';

import { Buffer } from 'node:buffer';
import { type Clock, KalamError, kalamError, type Random } from '@kalamdb/protocol';
import { type CallOptions, listAll, type ObjectStore } from './contract.ts';

/** Below here lie the objects of checks; what an interrupted check has left is removed by the next one. */
const PROBE_FOLDER = 'storage-check/';
const PROBE_BYTES = 1_024;
/** Leftovers that one check removes. */
const LEFTOVERS_MAX = 1_000;
/** Objects that are counted for the used bytes at most. */
const COUNTED_OBJECTS_MAX = 1_000_000;

/** What a store can do. */
export interface StorageCheck {
  readonly status: 'healthy' | 'degraded' | 'unreachable';
  readonly readable: boolean;
  readonly writable: boolean;
  readonly listable: boolean;
  readonly deletable: boolean;
  /** From the first request to the last. */
  readonly latencyMillis: number;
  /** What is there in all; `undefined` when not asked for, or when the store cannot tell. */
  readonly totalBytes: number | undefined;
  readonly usedBytes: number | undefined;
  /** The first failure. */
  readonly error: string | undefined;
}

/** What a check works with. */
export interface StorageCheckOptions extends CallOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Whether to tell sizes too, which may mean to list every object. */
  readonly extended?: boolean | undefined;
}

/**
 * Tries a store out: writes a small object, reads it, lists it, deletes it. `healthy` when all of it works, `unreachable` when nothing
 * does, else `degraded`. Fails only when the signal ends it.
 */
export async function checkStorage(store: ObjectStore, options: StorageCheckOptions): Promise<StorageCheck> {
  const { clock, random, signal } = options;
  const started = clock.elapsed();
  const key = `${PROBE_FOLDER}${Buffer.from(random.bytes(16)).toString('hex')}`;
  const content = random.bytes(PROBE_BYTES);
  const failures: unknown[] = [];
  const works = async (step: () => Promise<boolean>): Promise<boolean> => {
    try {
      const isRight = await step();
      if (!isRight)
        failures.push(kalamError('STORE_REQUEST_REFUSED', { storage: store.storage, reason: 'it answered with something else' }));
      return isRight;
    } catch (error) {
      signal?.throwIfAborted();
      failures.push(error);
      return false;
    }
  };
  const writable = await works(async () => {
    await store.put(key, { bytes: content }, { signal });
    return true;
  });
  const readable = await works(async () =>
    writable
      ? Buffer.compare(await store.get(key, { bytesMax: PROBE_BYTES, signal }), content) === 0
      : (await store.stat(key, { signal })) === undefined,
  );
  const found: string[] = [];
  const listable = await works(async () => {
    const page = await store.list(PROBE_FOLDER, { max: LEFTOVERS_MAX, signal });
    found.push(...page.objects.map((object) => object.key));
    return !writable || page.next !== undefined || found.includes(key);
  });
  const deletable = await works(async () => {
    await store.delete([...new Set([key, ...found])], { signal });
    return (await store.stat(key, { signal })) === undefined;
  });
  const done = [readable, writable, listable, deletable].filter((ok) => ok).length;
  const latencyMillis = clock.elapsed() - started;
  const sizes = options.extended === true && done > 0 ? await sizesOf(store, options) : {};
  return {
    status: done === 4 ? 'healthy' : done === 0 ? 'unreachable' : 'degraded',
    ...{ readable, writable, listable, deletable },
    latencyMillis: Math.max(0, Math.round(latencyMillis)),
    totalBytes: sizes.totalBytes,
    usedBytes: sizes.usedBytes,
    error: failures.length === 0 ? undefined : failureText(failures[0]),
  };
}

interface Sizes {
  readonly totalBytes?: number | undefined;
  readonly usedBytes?: number | undefined;
}

async function sizesOf(store: ObjectStore, { signal }: StorageCheckOptions): Promise<Sizes> {
  try {
    const space = await store.space();
    let usedBytes = 0;
    let count = 0;
    for await (const { bytes } of listAll(store, '', { signal })) {
      usedBytes += bytes;
      count += 1;
      if (count === COUNTED_OBJECTS_MAX) return { totalBytes: space?.totalBytes };
    }
    return { totalBytes: space?.totalBytes, usedBytes };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof KalamError) return {};
    throw error;
  }
}

function failureText(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}

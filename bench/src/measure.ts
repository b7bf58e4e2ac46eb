import { performance } from 'node:perf_hooks';

/** What one case measured; times in milliseconds. */
export interface Measurement {
  readonly name: string;
  readonly p50Millis: number;
  readonly p99Millis: number;
  readonly perSecond: number;
  readonly samples: number;
}

/** How long and how wide a case runs. */
export interface LoadOptions {
  readonly name: string;
  readonly clients: number;
  readonly seconds: number;
}

/** Milliseconds a case runs before it is measured. */
const WARM_UP_MILLIS = 1000;

/**
 * Closed loop: each client calls `once` again as soon as the call before has resolved. `once` gets the number of the client
 * and of its call.
 */
export async function load(options: LoadOptions, once: (client: number, call: number) => Promise<void>): Promise<Measurement> {
  const { name, clients, seconds } = options;
  const samples: number[] = [];
  const measureFrom = performance.now() + WARM_UP_MILLIS;
  const end = measureFrom + seconds * 1000;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let call = 0; performance.now() < end; call++) {
        const start = performance.now();
        await once(client, call);
        if (start >= measureFrom) samples.push(performance.now() - start);
      }
    }),
  );
  return summary(name, samples, samples.length / seconds);
}

/** Percentiles of samples in milliseconds. */
export function summary(name: string, samples: readonly number[], perSecond: number): Measurement {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { name, p50Millis: at(0.5), p99Millis: at(0.99), perSecond, samples: sorted.length };
}

import { performance } from 'node:perf_hooks';

const originMicros = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;

/** Microseconds of a clock that all processes of this machine share. */
export function monotonicMicros(): number {
  return originMicros + performance.now() * 1000;
}

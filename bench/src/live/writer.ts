import { performance } from 'node:perf_hooks';
import { monotonicMicros } from './monotonic.ts';
import type { Write } from './stage.ts';

/** Events that are written: so many, with these ids. */
export interface Written {
  readonly first: number;
  readonly count: number;
}

/** What the ids add up to. */
export function idSum({ first, count }: Written): number {
  return count * first + (count * (count - 1)) / 2;
}

/** Writes events in one statement; they are due now unless said otherwise. */
export function insertText(table: string, { first, count }: Written, dueMicros: number = monotonicMicros()): string {
  const values: string[] = [];
  for (let id = first; id < first + count; id++) values.push(`(${id}, ${Math.round(dueMicros)}, ${id % 100}, 'message ${id}')`);
  return `INSERT INTO ${table} (id, at, grp, body) VALUES ${values.join(', ')}`;
}

/** Writes one event after the other. */
export async function writeOneByOne(write: Write, table: string, { first, count }: Written): Promise<void> {
  for (let id = first; id < first + count; id++) await write(insertText(table, { first: id, count: 1 }));
}

/** How events are written at a fixed rate. */
export interface Pace {
  readonly table: string;
  readonly perSecond: number;
  /** Events of one INSERT. */
  readonly each: number;
}

/**
 * Writes events at a fixed rate, whatever becomes of the ones before: an event carries the time at which its statement was due,
 * also when that had to wait for a writer. Answers the rate that was reached.
 * `count` is a multiple of what one INSERT holds.
 */
export async function writePaced(writes: readonly Write[], pace: Pace, { first, count }: Written): Promise<number> {
  const { table, perSecond, each } = pace;
  const start = performance.now();
  const texts: string[] = [];
  let written = 0;
  let wake: (() => void)[] = [];
  const writer = async (write: Write): Promise<void> => {
    for (;;) {
      const text = texts.shift();
      if (text !== undefined) await write(text);
      else if (written === count) return;
      else await new Promise<void>((resolve) => wake.push(resolve));
    }
  };
  const generate = async (): Promise<void> => {
    while (written < count) {
      const due = Math.min(count, Math.floor(((performance.now() - start) * perSecond) / 1000));
      const now = monotonicMicros();
      for (; written + each <= due; written += each) texts.push(insertText(table, { first: first + written, count: each }, now));
      const idle = wake;
      wake = [];
      for (const go of idle) go();
      if (written < count) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await Promise.all([...writes.map(writer), generate()]);
  return (count * 1000) / (performance.now() - start);
}

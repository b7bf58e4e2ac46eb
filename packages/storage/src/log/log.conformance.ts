import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitLog, Durability, LogEntry } from '../contract.ts';

/** What the suite needs of an implementation: one place that a log can be opened at again and again. */
export interface LogPlace {
  open(startSeq: bigint): Promise<CommitLog>;
  dispose(): Promise<void>;
}

const entry = (seq: bigint, bytes = 20): LogEntry => ({ seq, payload: Buffer.alloc(bytes, Number(seq % 251n) + 1) });

const text = ({ seq, payload }: LogEntry): string => `${seq} ${Buffer.from(payload).toString('latin1')}`;

/** Entries as texts: quick to compare. */
const replayed = async (log: CommitLog, afterSeq: bigint): Promise<string[]> => {
  const entries: string[] = [];
  for await (const found of log.replay(afterSeq)) entries.push(text(found));
  return entries;
};

type Step =
  | { readonly kind: 'append'; readonly sizes: readonly number[]; readonly gap: number; readonly durability: Durability }
  | { readonly kind: 'release'; readonly part: number }
  | { readonly kind: 'reopen' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 9_000 })), { minLength: 1, maxLength: 6 }),
        gap: fc.integer({ min: 1, max: 1_000 }),
        durability: fc.constantFrom<Durability>('sync', 'relaxed'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  ),
  { maxLength: 40 },
);

/** A log beside the obvious model of it: a list of entries and the hot tier's point. */
const runProgram = async (place: LogPlace, program: readonly Step[]): Promise<void> => {
  let log = await place.open(0n);
  let model: LogEntry[] = [];
  let released = 0n;
  for (const step of program) {
    if (step.kind === 'append') {
      let seq = log.lastSeq;
      const entries = step.sizes.map((size) => {
        seq += BigInt(step.gap);
        return entry(seq, size);
      });
      await log.append(entries, step.durability);
      model.push(...entries);
    } else if (step.kind === 'release') {
      released = model[Math.floor(step.part * (model.length - 1))]?.seq ?? released;
      log.release(released);
      model = model.filter(({ seq }) => seq > released);
    } else {
      const last = log.lastSeq;
      await log.close();
      log = await place.open(released);
      expect(log.lastSeq).toBe(last);
      expect(await replayed(log, released)).toEqual(model.map(text));
    }
  }
  await log.close();
  log = await place.open(released);
  expect(await replayed(log, released)).toEqual(model.map(text));
  await log.close();
};

type MakePlace = () => Promise<LogPlace>;

const appendsAndReplays = (place: () => LogPlace): void => {
  it('begins empty at the point it was opened at', async () => {
    const log = await place().open(0n);
    expect(log.lastSeq).toBe(0n);
    expect(await replayed(log, 0n)).toEqual([]);
    await log.close();
  });

  it.each<Durability>(['sync', 'relaxed'])('gives %s entries back in order after it was opened again', async (durability) => {
    const log = await place().open(0n);
    const entries = [entry(5n), entry(6n, 1), entry(900n, 3_000)];
    await log.append(entries.slice(0, 2), durability);
    await log.append(entries.slice(2), durability);
    expect(log.lastSeq).toBe(900n);
    await log.close();
    const again = await place().open(0n);
    expect(again.incarnation).toBe(log.incarnation);
    expect(again.lastSeq).toBe(900n);
    expect(await replayed(again, 0n)).toEqual(entries.map(text));
    expect(await replayed(again, 5n)).toEqual(entries.slice(1).map(text));
    expect(await replayed(again, 900n)).toEqual([]);
    await again.close();
  });

  it('gives what it found at opening, not what is appended afterwards', async () => {
    const log = await place().open(0n);
    await log.append([entry(1n)], 'sync');
    expect(await replayed(log, 0n)).toEqual([]);
    await log.close();
  });

  it('says how far it is synced', async () => {
    const log = await place().open(0n);
    await log.append([entry(1n)], 'sync');
    expect(log.syncedSeq).toBe(1n);
    await log.append([entry(2n)], 'relaxed');
    await log.sync();
    expect(log.syncedSeq).toBe(2n);
    await log.close();
  });
};

const refusesAndKeeps = (place: () => LogPlace): void => {
  it('refuses names that do not rise and payloads without a byte, and goes on', async () => {
    const log = await place().open(0n);
    await log.append([entry(7n)], 'sync');
    await expect(log.append([entry(7n)], 'sync')).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    await expect(log.append([entry(9n), entry(8n)], 'sync')).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    await expect(log.append([{ seq: 9n, payload: new Uint8Array() }], 'sync')).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    await log.append([entry(8n)], 'sync');
    await log.close();
    await expect(log.append([entry(9n)], 'sync')).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    const again = await place().open(0n);
    expect(await replayed(again, 0n)).toEqual([text(entry(7n)), text(entry(8n))]);
    await again.close();
  });

  it('does not keep the payload that it was given', async () => {
    const log = await place().open(0n);
    const payload = Buffer.from('before');
    await log.append([{ seq: 1n, payload }], 'sync');
    payload.fill(0);
    await log.close();
    const again = await place().open(0n);
    expect(await replayed(again, 0n)).toEqual(['1 before']);
    await again.close();
  });

  it('takes an entry that is larger than a file', async () => {
    const log = await place().open(0n);
    const entries = [entry(1n), entry(2n, 100_000), entry(3n), entry(4n, 50_000)];
    await log.append(entries.slice(0, 3), 'sync');
    await log.append(entries.slice(3), 'relaxed');
    await log.close();
    const again = await place().open(0n);
    expect(await replayed(again, 0n)).toEqual(entries.map(text));
    await again.close();
  });
};

/** The contract of the commit log, held against an implementation. `makePlace` makes an empty place. */
export function logConformance(name: string, makePlace: MakePlace): void {
  describe(`commit log in ${name}`, () => {
    let current: LogPlace;
    const place = (): LogPlace => current;
    beforeEach(async () => {
      current = await makePlace();
    });
    afterEach(() => current.dispose());

    appendsAndReplays(place);
    refusesAndKeeps(place);

    it('answers like a list whatever is appended, released and reopened', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (program) => {
          const own = await makePlace();
          await runProgram(own, program).finally(() => own.dispose());
        }),
        { numRuns: 60 },
      );
    });
  });
}

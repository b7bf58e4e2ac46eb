import fc from 'fast-check';
import { expect, test } from 'vitest';
import { QuerySlots } from './query-slots.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Step = { readonly kind: 'enter'; readonly user: string } | { readonly kind: 'leave' | 'give up'; readonly at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('enter' as const), user: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constantFrom('leave' as const, 'give up' as const), at: fc.nat(5) }),
);

test('no bound is passed, no slot is lost, and nobody waits who could run', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const slots = new QuerySlots({ runningMax: 3, userRunningMax: 2, waitingMax: 4 });
      const running: { readonly user: string; leave(): void }[] = [];
      const waiting: { readonly user: string; readonly ending: AbortController }[] = [];
      let refused = 0;
      const enter = (user: string): void => {
        const ending = new AbortController();
        const entry = { user, ending };
        waiting.push(entry);
        slots.enter(user, ending.signal).then(
          (leave) => {
            waiting.splice(waiting.indexOf(entry), 1);
            running.push({ user, leave });
          },
          () => {
            waiting.splice(waiting.indexOf(entry), 1);
            refused += 1;
          },
        );
      };
      for (const { kind, ...rest } of steps) {
        if (kind === 'enter' && 'user' in rest) enter(rest.user);
        if (kind === 'leave' && 'at' in rest) running.splice(rest.at, 1)[0]?.leave();
        if (kind === 'give up' && 'at' in rest) waiting[rest.at]?.ending.abort(new Error('gone'));
        await settle();
        expect(slots.running).toBe(running.length);
        expect(slots.waiting).toBe(waiting.length);
        expect(running.length).toBeLessThanOrEqual(3);
        expect(waiting.length).toBeLessThanOrEqual(4);
        const of = (user: string): number => running.filter((entry) => entry.user === user).length;
        for (const user of ['a', 'b', 'c']) expect(of(user)).toBeLessThanOrEqual(2);
        if (running.length < 3) for (const { user } of waiting) expect(of(user)).toBe(2);
      }
      expect(refused).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 200 },
  );
});

test('a slot that is given back twice counts once', async () => {
  const slots = new QuerySlots({ runningMax: 1, userRunningMax: 1, waitingMax: 1 });
  const leave = await slots.enter('a', new AbortController().signal);
  leave();
  leave();
  expect(slots.running).toBe(0);
});

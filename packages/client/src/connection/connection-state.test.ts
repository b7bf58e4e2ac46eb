import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  attemptsOf,
  type ConnectionEvent,
  type ConnectionState,
  holdsSocket,
  nextState,
  type ReconnectPolicy,
} from './connection-state.ts';

const event: fc.Arbitrary<ConnectionEvent> = fc.oneof(
  fc.constantFrom<ConnectionEvent>(
    { name: 'connect' },
    { name: 'credentials' },
    { name: 'opened' },
    { name: 'accepted' },
    { name: 'refused', reason: 'refused' },
    { name: 'due' },
    { name: 'wake' },
    { name: 'steady' },
    { name: 'disconnect' },
  ),
  fc.record({ name: fc.constant('failed' as const), reason: fc.string(), recoverable: fc.boolean() }),
  fc.constant<ConnectionEvent>({ name: 'shutdown' }),
);
const policy: fc.Arbitrary<ReconnectPolicy> = fc.record({
  autoReconnect: fc.boolean(),
  attemptsMax: fc.option(fc.nat(4), { nil: undefined }),
});
const idle = { name: 'idle', reason: undefined } as ConnectionState;
const always: ReconnectPolicy = { autoReconnect: true, attemptsMax: undefined };

const run = (events: readonly ConnectionEvent[], from: ConnectionState = idle, rules: ReconnectPolicy = always): ConnectionState =>
  events.reduce((state, next) => nextState(state, next, rules), from);

describe('connection state', () => {
  it('a socket comes into being only by leaving authorizing, and messages flow only after opened and accepted', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), policy, (events, rules) => {
        let state = idle;
        for (const next of events) {
          const after = nextState(state, next, rules);
          if (!holdsSocket(state) && holdsSocket(after))
            expect([state.name, after.name, next.name]).toEqual(['authorizing', 'opening', 'credentials']);
          if (after.name === 'ready' && state.name !== 'ready') expect([state.name, next.name]).toEqual(['authenticating', 'accepted']);
          state = after;
        }
      }),
    );
  });

  it('closed is final and shutdown always leads there', () => {
    fc.assert(
      fc.property(fc.array(event), fc.array(event), policy, (before, after, rules) => {
        expect(run([...before, { name: 'shutdown' }, ...after], idle, rules)).toEqual({ name: 'closed' });
      }),
    );
  });

  it('never exceeds the attempts of its policy and counts from zero after messages flowed', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), policy, (events, rules) => {
        let state = idle;
        for (const next of events) {
          state = nextState(state, next, rules);
          if (rules.attemptsMax !== undefined) expect(attemptsOf(state)).toBeLessThanOrEqual(rules.attemptsMax);
          if (!rules.autoReconnect) expect(state.name).not.toBe('waiting');
          if (state.name === 'ready') expect(attemptsOf(state)).toBe(0);
        }
      }),
    );
  });

  it('a connection that breaks as soon as it stands waits longer each time, one that has stood for a while does not', () => {
    const ready: readonly ConnectionEvent[] = [{ name: 'due' }, { name: 'credentials' }, { name: 'opened' }, { name: 'accepted' }];
    const broken: ConnectionEvent = { name: 'failed', reason: 'cut', recoverable: true };
    const thrice = run([{ name: 'connect' }, ...ready, broken, ...ready, broken, ...ready, broken]);
    expect(thrice).toEqual({ name: 'waiting', attempt: 3, reason: 'cut' });
    expect(run([...ready, { name: 'steady' }, broken], thrice)).toEqual({ name: 'waiting', attempt: 1, reason: 'cut' });
  });

  it('disconnect ends in idle from everywhere but closed', () => {
    fc.assert(
      fc.property(fc.array(event), policy, (events, rules) => {
        const state = run([...events, { name: 'disconnect' }], idle, rules);
        expect(['idle', 'closed']).toContain(state.name);
      }),
    );
  });

  it('a refused token is replaced once, a second refusal is final', () => {
    const refused: ConnectionEvent = { name: 'refused', reason: 'Invalid credentials' };
    const toVerdict: readonly ConnectionEvent[] = [{ name: 'credentials' }, { name: 'opened' }];
    const once = run([{ name: 'connect' }, ...toVerdict, refused]);
    expect(once).toEqual({ name: 'authorizing', attempt: 0, refusals: 1 });
    expect(run([...toVerdict, refused], once)).toEqual({ name: 'idle', reason: 'Invalid credentials' });
  });

  it('what cannot be recovered from is not tried again', () => {
    expect(run([{ name: 'connect' }, { name: 'failed', reason: 'wrong password', recoverable: false }])).toEqual({
      name: 'idle',
      reason: 'wrong password',
    });
  });
});

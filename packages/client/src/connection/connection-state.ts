/**
 * The life of a client's one socket, as data.
 *
 * ```
 *            connect            credentials          opened                accepted
 *   idle ───────────▶ authorizing ────────▶ opening ────────▶ authenticating ────────▶ ready
 *    ▲ ▲                  ▲  │failed          │failed            │failed    │refused     │failed
 *    │ │disconnect        │  ▼                ▼                  ▼          │once        ▼
 *    │ └─(any but closed) │ waiting ◀─────────────────────────────────────────────────────
 *    │                    └──┘ due, wake, connect             refused again ──▶ idle
 *    └── failed beyond the policy, or beyond recovery             shutdown (any) ──▶ closed
 * ```
 *
 * An attempt counts as failed until messages have flowed for a while (`steady`): a connection that breaks as soon as it stands is opened
 * again after growing pauses, like one that does not come about.
 *
 * What a state entails, for whoever drives it: a socket exists in `opening`, `authenticating` and `ready` and in no other
 * state ({@link holdsSocket}); every state but `idle` and `closed` has exactly one timer, which bounds it.
 */
export type ConnectionState =
  /** No socket and no wish for one. `reason` says what made it give up, if something did. */
  | { readonly name: 'idle'; readonly reason: string | undefined }
  /** The application is asked for credentials. */
  | { readonly name: 'authorizing'; readonly attempt: number; readonly refusals: number }
  /** The socket is being opened. */
  | { readonly name: 'opening'; readonly attempt: number; readonly refusals: number }
  /** The token is sent, the verdict not yet here. */
  | { readonly name: 'authenticating'; readonly attempt: number; readonly refusals: number }
  /** Messages flow. `failures`: attempts that failed before, 0 once this one is steady. */
  | { readonly name: 'ready'; readonly failures: number }
  /** Between two attempts. */
  | { readonly name: 'waiting'; readonly attempt: number; readonly reason: string }
  /** Over for good. */
  | { readonly name: 'closed' };

/** What can happen to a connection. */
export type ConnectionEvent =
  | { readonly name: 'connect' }
  | { readonly name: 'credentials' }
  | { readonly name: 'opened' }
  | { readonly name: 'accepted' }
  | { readonly name: 'refused'; readonly reason: string }
  /** The step under way failed, ran out of time, or the socket went away. */
  | { readonly name: 'failed'; readonly reason: string; readonly recoverable: boolean }
  /** The pause between two attempts is over. */
  | { readonly name: 'due' }
  /** Messages have flowed for a while. */
  | { readonly name: 'steady' }
  /** The machine is back: network, tab or lid. */
  | { readonly name: 'wake' }
  | { readonly name: 'disconnect' }
  | { readonly name: 'shutdown' };

/** When to try again. */
export interface ReconnectPolicy {
  readonly autoReconnect: boolean;
  /** Attempts in a row before giving up; `undefined` for no end. */
  readonly attemptsMax: number | undefined;
}

/** How often in a row the server may refuse a token before that is final. */
const refusalsMax = 1;

/** What an event makes of a state. */
type Rule = (state: ConnectionState, event: ConnectionEvent, policy: ReconnectPolicy) => ConnectionState;
type Rules = Readonly<Partial<Record<ConnectionState['name'], Rule | undefined>>>;

/** The attempts that failed since messages last flowed; 0 while they do. */
export function attemptsOf(state: ConnectionState): number {
  return 'attempt' in state ? state.attempt : 0;
}

/** Whether a socket exists in this state. */
export function holdsSocket(state: ConnectionState): boolean {
  return state.name === 'opening' || state.name === 'authenticating' || state.name === 'ready';
}

const reasonOf = (event: ConnectionEvent): string => ('reason' in event ? event.reason : event.name);
const refusalsOf = (state: ConnectionState): number => ('refusals' in state ? state.refusals : 0);
const goTo =
  (name: 'authorizing' | 'opening' | 'authenticating', more = 0): Rule =>
  (state) => ({ name, attempt: attemptsOf(state), refusals: name === 'authorizing' ? more : refusalsOf(state) });

const retry: Rule = (state, event, { autoReconnect, attemptsMax }) => {
  const attempt = ('failures' in state ? state.failures : attemptsOf(state)) + 1;
  const reason = reasonOf(event);
  const allowed = autoReconnect && (attemptsMax === undefined || attempt <= attemptsMax);
  const recoverable = event.name !== 'failed' || event.recoverable;
  return allowed && recoverable ? { name: 'waiting', attempt, reason } : { name: 'idle', reason };
};
const renew: Rule = (state, event, policy) => {
  const refusals = refusalsOf(state);
  return refusals < refusalsMax ? goTo('authorizing', refusals + 1)(state, event, policy) : { name: 'idle', reason: reasonOf(event) };
};
const stop: Rule = () => ({ name: 'idle', reason: undefined });
const end: Rule = () => ({ name: 'closed' });

/** One rule for every state that has something under way. */
const everywhere = (rule: Rule): Rules => ({ authorizing: rule, opening: rule, authenticating: rule, ready: rule, waiting: rule });

/** What each event does in each state; where there is nothing it means nothing. */
const RULES: Readonly<Record<ConnectionEvent['name'], Rules>> = {
  connect: { idle: goTo('authorizing'), waiting: goTo('authorizing') },
  credentials: { authorizing: goTo('opening') },
  opened: { opening: goTo('authenticating') },
  accepted: { authenticating: (state) => ({ name: 'ready', failures: attemptsOf(state) }) },
  refused: { authenticating: renew, ready: retry },
  failed: { ...everywhere(retry), waiting: undefined },
  due: { waiting: goTo('authorizing') },
  steady: { ready: (state) => ('failures' in state && state.failures > 0 ? { name: 'ready', failures: 0 } : state) },
  wake: { waiting: goTo('authorizing') },
  disconnect: everywhere(stop),
  shutdown: { ...everywhere(end), idle: end },
};

/** The state after an event. The very same object when the event means nothing here. */
export function nextState(state: ConnectionState, event: ConnectionEvent, policy: ReconnectPolicy): ConnectionState {
  return RULES[event.name][state.name]?.(state, event, policy) ?? state;
}

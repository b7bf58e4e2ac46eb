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

type Rule = 'stay' | 'authorize' | 'open' | 'authenticate' | 'rest' | 'forget' | 'retry' | 'renew' | 'stop' | 'end';

/** Every event in every state; a missing cell does not compile. */
const RULES: Record<ConnectionEvent['name'], Record<ConnectionState['name'], Rule>> = {
  connect: {
    idle: 'authorize',
    authorizing: 'stay',
    opening: 'stay',
    authenticating: 'stay',
    ready: 'stay',
    waiting: 'authorize',
    closed: 'stay',
  },
  credentials: {
    idle: 'stay',
    authorizing: 'open',
    opening: 'stay',
    authenticating: 'stay',
    ready: 'stay',
    waiting: 'stay',
    closed: 'stay',
  },
  opened: {
    idle: 'stay',
    authorizing: 'stay',
    opening: 'authenticate',
    authenticating: 'stay',
    ready: 'stay',
    waiting: 'stay',
    closed: 'stay',
  },
  accepted: { idle: 'stay', authorizing: 'stay', opening: 'stay', authenticating: 'rest', ready: 'stay', waiting: 'stay', closed: 'stay' },
  refused: { idle: 'stay', authorizing: 'stay', opening: 'stay', authenticating: 'renew', ready: 'retry', waiting: 'stay', closed: 'stay' },
  failed: {
    idle: 'stay',
    authorizing: 'retry',
    opening: 'retry',
    authenticating: 'retry',
    ready: 'retry',
    waiting: 'stay',
    closed: 'stay',
  },
  due: { idle: 'stay', authorizing: 'stay', opening: 'stay', authenticating: 'stay', ready: 'stay', waiting: 'authorize', closed: 'stay' },
  steady: { idle: 'stay', authorizing: 'stay', opening: 'stay', authenticating: 'stay', ready: 'forget', waiting: 'stay', closed: 'stay' },
  wake: { idle: 'stay', authorizing: 'stay', opening: 'stay', authenticating: 'stay', ready: 'stay', waiting: 'authorize', closed: 'stay' },
  disconnect: {
    idle: 'stay',
    authorizing: 'stop',
    opening: 'stop',
    authenticating: 'stop',
    ready: 'stop',
    waiting: 'stop',
    closed: 'stay',
  },
  shutdown: { idle: 'end', authorizing: 'end', opening: 'end', authenticating: 'end', ready: 'end', waiting: 'end', closed: 'stay' },
};

/** The attempts that failed since messages last flowed; 0 while they do. */
export function attemptsOf(state: ConnectionState): number {
  return 'attempt' in state ? state.attempt : 0;
}

/** Whether a socket exists in this state. */
export function holdsSocket(state: ConnectionState): boolean {
  return state.name === 'opening' || state.name === 'authenticating' || state.name === 'ready';
}

/** The state after an event. The very same object when the event means nothing here. */
export function nextState(state: ConnectionState, event: ConnectionEvent, policy: ReconnectPolicy): ConnectionState {
  const rule = RULES[event.name][state.name];
  const attempt = attemptsOf(state);
  const refusals = 'refusals' in state ? state.refusals : 0;
  switch (rule) {
    case 'stay':
      return state;
    case 'authorize':
      return { name: 'authorizing', attempt, refusals: 0 };
    case 'open':
      return { name: 'opening', attempt, refusals };
    case 'authenticate':
      return { name: 'authenticating', attempt, refusals };
    case 'rest':
      return { name: 'ready', failures: attempt };
    case 'forget':
      return 'failures' in state && state.failures > 0 ? { name: 'ready', failures: 0 } : state;
    case 'renew':
      return refusals < refusalsMax ? { name: 'authorizing', attempt, refusals: refusals + 1 } : { name: 'idle', reason: reasonOf(event) };
    case 'retry':
      return afterFailure(event, (state.name === 'ready' ? state.failures : attempt) + 1, policy);
    case 'stop':
      return { name: 'idle', reason: undefined };
    case 'end':
      return { name: 'closed' };
    default:
      return rule satisfies never;
  }
}

function afterFailure(event: ConnectionEvent, attempt: number, policy: ReconnectPolicy): ConnectionState {
  const reason = reasonOf(event);
  const allowed = policy.autoReconnect && (policy.attemptsMax === undefined || attempt <= policy.attemptsMax);
  const recoverable = event.name !== 'failed' || event.recoverable;
  return allowed && recoverable ? { name: 'waiting', attempt, reason } : { name: 'idle', reason };
}

function reasonOf(event: ConnectionEvent): string {
  return 'reason' in event ? event.reason : event.name;
}

import type { Clock } from '@kalamdb/protocol';
import type { ClientSettings } from './client-options.ts';

/** How much of what the client does is worth telling; each level includes those after it. */
export const LogLevel: {
  readonly Verbose: 0;
  readonly Debug: 1;
  readonly Info: 2;
  readonly Warn: 3;
  readonly Error: 4;
  readonly None: 5;
} = { Verbose: 0, Debug: 1, Info: 2, Warn: 3, Error: 4, None: 5 };

/** One of {@link LogLevel}'s values. */
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

/** One thing the client has to tell. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  /** The part of the client that speaks: `connection`, `auth`, `subscription`, `callback`. */
  readonly tag: string;
  /** ISO 8601. */
  readonly timestamp: string;
}

/** Receives every entry at or above the chosen level. Nothing is printed anywhere unless a listener does it. */
export type LogListener = (entry: LogEntry) => void;

/** Hands entries to the application's listener; without one it does nothing. */
export class Log {
  readonly #clock: Clock;
  level: LogLevel;
  listener: LogListener | undefined;

  constructor({ clock, logLevel = LogLevel.Warn, logListener }: Pick<ClientSettings, 'clock' | 'logLevel' | 'logListener'>) {
    this.#clock = clock;
    this.level = logLevel;
    this.listener = logListener;
  }

  /** Tells the listener, if there is one and it wants this level. What the listener throws has nowhere to go and ends here. */
  write(level: LogLevel, tag: string, message: string): void {
    if (this.listener === undefined || level < this.level || level === LogLevel.None) return;
    try {
      this.listener({ level, message, tag, timestamp: new Date(this.#clock.now()).toISOString() });
    } catch {
      // thrown on, it would leave the connection between two states
    }
  }
}

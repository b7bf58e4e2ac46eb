import type { ServerLogLine } from '@kalamdb/engine';
import { KalamError } from '@kalamdb/protocol';
import { type Logger, pino } from 'pino';
import type { ServerConfig } from '../config/settings.ts';
import { LogRing } from './log-ring.ts';

/** Members that never reach the log, wherever they turn up. */
const SECRET_PATHS = ['password', 'token', 'authorization', 'cookie', '*.password', '*.token', '*.authorization', '*.cookie'];
/** What looks like a secret inside of a text: tokens of both kinds, and what follows `Bearer` or PASSWORD. */
const SECRET_TEXTS = /\bkdb_\w+|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|\b(Bearer\s+)[^\s"'\\]+|\b(PASSWORD\s+)(?:'(?:[^']|'')*'?|[^\s'"\\]+)/gi;
/** Causes of an error that are told of. */
const CAUSES_MAX = 5;
const CENSOR = '[secret]';
const ERROR_LEVEL = 50;
const LABELS: Readonly<Record<number, string>> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };
const COLORS: Readonly<Record<number, string>> = { 10: '90', 20: '90', 30: '32', 40: '33', 50: '31', 60: '41' };

/** The log of a server. */
export interface ServerLog {
  readonly logger: Logger;
  /** The newest lines, oldest first, for `system.server_logs`. */
  recent(): readonly ServerLogLine[];
}

/**
 * The server's log as the settings want it: JSON lines, or lines for people. Goes to standard output unless told otherwise.
 * No line holds a password or a token.
 */
export function createLog(config: ServerConfig, destination: { write(line: string): void } = process.stdout): ServerLog {
  const format = config['logging.format'];
  const toConsole = config['logging.log_to_console'];
  const ring = new LogRing();
  const write = (raw: string): void => {
    // Text by text: a pattern that ran over the end of one would tear the line.
    const line = JSON.parse(raw, (_key, value: unknown) => (typeof value === 'string' ? withoutSecrets(value) : value)) as LogLine;
    const told = readable(line);
    ring.push(told);
    if (!toConsole && line.level < ERROR_LEVEL) return;
    destination.write(
      format === 'json'
        ? `${JSON.stringify(line)}\n`
        : `${clockOf(told.timestamp)} ${label(line.level, format === 'pretty')} ${told.message}\n`,
    );
  };
  const options = {
    level: config['logging.level'],
    base: null,
    redact: { paths: SECRET_PATHS, censor: CENSOR },
    // Errors travel under either name. Their own members may hold the text of a statement.
    serializers: { err: loggedError, error: loggedError },
  };
  return { logger: pino(options, { write }), recent: () => ring.lines };
}

function clockOf(timestamp: string): string {
  return timestamp.slice(11, 23);
}

function label(level: number, colored: boolean): string {
  const text = (LABELS[level] ?? String(level)).padEnd(5);
  return colored ? `\u001b[${COLORS[level] ?? '0'}m${text}\u001b[0m` : text;
}

function withoutSecrets(text: string): string {
  return text.replace(SECRET_TEXTS, `$1$2${CENSOR}`);
}

/** `text key=value`, and the stack of an error behind it, indented: no text that somebody sent can look like a line of the log. */
function readable({ time, level, msg, err, error, ...rest }: LogLine): Omit<ServerLogLine, 'line'> {
  const pairs = Object.entries(rest).map(
    ([key, value]) => ` ${key}=${printable(typeof value === 'string' ? value : JSON.stringify(value))}`,
  );
  const failure = err ?? error;
  const trace = failure === undefined ? '' : `\n${(failure.stack ?? failure.message ?? '').split('\n').map(indented).join('\n')}`;
  const request = rest['request'];
  return {
    timestamp: new Date(time).toISOString(),
    level: LABELS[level] ?? String(level),
    target: typeof request === 'string' ? request : undefined,
    message: `${printable(msg ?? '')}${pairs.join('')}${trace}`,
  };
}

/** Control characters written as JSON does: a terminal would act on them. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function indented(line: string): string {
  return `${line.startsWith(' ') ? '' : '  '}${printable(line)}`;
}

function loggedError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { message: String(error) };
  const stacks: string[] = [];
  let cause: unknown = error;
  for (let depth = 0; cause instanceof Error && depth < CAUSES_MAX; depth++) {
    stacks.push(cause.stack ?? cause.message);
    cause = cause.cause;
  }
  const code = error instanceof KalamError ? { code: error.code } : {};
  return { type: error.name, ...code, message: error.message, stack: stacks.join('\ncaused by ') };
}

interface LoggedError {
  readonly type?: string;
  readonly code?: string;
  readonly stack?: string;
  readonly message?: string;
}

interface LogLine {
  readonly time: number;
  readonly level: number;
  readonly msg?: string;
  readonly err?: LoggedError;
  readonly error?: LoggedError;
  readonly [key: string]: unknown;
}

import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';
import type { ServerConfig } from './config/settings.ts';

/** Members that never reach the log, wherever they turn up. */
const SECRET_PATHS = ['password', 'token', 'authorization', 'cookie', '*.password', '*.token', '*.authorization', '*.cookie'];
/** Errors travel under either name; without a serializer they would be logged as `{}`. */
const SERIALIZERS = { err: stdSerializers.err, error: stdSerializers.err };
const LABELS: Readonly<Record<number, string>> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

/** The server's log as the settings want it: JSON lines, or lines for people. Goes to standard output unless told otherwise. */
export function createLog(config: ServerConfig, destination: { write(line: string): void } = process.stdout): Logger {
  const level = config['logging.level'];
  const quiet = !config['logging.log_to_console'] && level !== 'silent';
  const options = {
    level: quiet ? 'error' : level,
    base: null,
    redact: { paths: SECRET_PATHS, censor: '[secret]' },
    serializers: SERIALIZERS,
  };
  const stream: DestinationStream =
    config['logging.format'] === 'json' ? destination : { write: (line) => destination.write(readableLine(line)) };
  return pino(options, stream);
}

/** `12:30:01.250 WARN  text key=value`, and the stack of an error behind it. */
function readableLine(line: string): string {
  const { time, level, msg, err, error, ...rest } = JSON.parse(line) as LogLine;
  const clock = new Date(time).toISOString().slice(11, 23);
  const pairs = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const failure = err ?? error;
  const trace = failure === undefined ? '' : `\n${failure.stack ?? failure.message ?? ''}`;
  return `${clock} ${(LABELS[level] ?? String(level)).padEnd(5)} ${msg ?? ''}${pairs.join('')}${trace}\n`;
}

interface LoggedError {
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

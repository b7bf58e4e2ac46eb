import { restoreDatabase, verifyDatabase } from '@kalamdb/engine';
import { KalamError, kalamError, systemTimers } from '@kalamdb/protocol';
import { Command, CommanderError, Option } from 'commander';
import type { Logger } from 'pino';
import { banner } from './banner.ts';
import { readConfigFile } from './config/config-file.ts';
import { type ReadConfig, readConfig } from './config/load-config.ts';
import { printConfig } from './config/print-config.ts';
import { SETTING_NAMES, SETTING_SPECS, type ServerConfig } from './config/settings.ts';
import { configuredTls } from './http/connections/tls-files.ts';
import { createLog } from './log/log.ts';
import { type RunningServer, startServer } from './server.ts';
import { VERSION } from './version.ts';

/** How much longer than `performance.shutdown_timeout` the process may live when it was told to stop. */
const EXIT_GRACE_MILLIS = 10_000;
/** Exit code after a failure that no one expected; whoever watches over the process should start it again. */
const CRASH_CODE = 70;

/** What the process is told and tells. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Calls back on each request to stop (SIGTERM, SIGINT, SIGHUP). */
  onStop(callback: () => void): void;
  /** Calls back on an error that nothing caught; the process must not go on after it. */
  onCrash(callback: (error: unknown) => void): void;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** Runs the server until it is told to stop, and gives the exit code. Expected failures print one clear text. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const read = await readCommandLine(args, terminal);
    if (read === undefined) return 0;
    for (const warning of read.warnings) terminal.err(`warning: ${warning}\n`);
    if (read.task === 'serve') return await serve(usable(read), read.file, terminal);
    if (read.task === 'verify') return await verifyData(usable(read), terminal);
    if (read.task === 'restore') return await restoreData(usable(read), read.from ?? '', terminal);
    for (const problem of read.problems) terminal.err(`error: ${problem}\n`);
    if (read.task === 'print') terminal.out(printConfig(read));
    else if (read.problems.length === 0) {
      await configuredTls(read.config);
      terminal.out('The configuration is valid.\n');
    }
    return read.problems.length === 0 ? 0 : 1;
  } catch (error) {
    const text = explained(error);
    if (text === undefined) throw error;
    terminal.err(text);
    return 1;
  }
}

function usable({ config, problems }: ReadConfig): ServerConfig {
  if (problems.length > 0) throw kalamError('CONFIG_INVALID', { reason: problems.join('\n') });
  return config;
}

/** Reads all of the data and says what was found; 1 when something is damaged. */
async function verifyData(config: ServerConfig, terminal: Terminal): Promise<number> {
  const parts = await verifyDatabase(config['storage.data_path']);
  for (const { part, text, failure } of parts) {
    if (failure === undefined) terminal.out(`${part}: ${text}\n`);
    else terminal.err(`${part}: ${text}\n${failure.spec.next}\n`);
  }
  return parts.every(({ failure }) => failure === undefined) ? 0 : 1;
}

/** Makes the data directory from a backup. */
async function restoreData(config: ServerConfig, from: string, terminal: Terminal): Promise<number> {
  const directory = config['storage.data_path'];
  const { rows, segments, seq } = await restoreDatabase(from, directory);
  terminal.out(`Restored commit ${seq} into ${directory}: ${rows} hot rows, ${segments} segments.\n`);
  return 0;
}

/** Serves until it is told to stop. */
async function serve(config: ServerConfig, file: string | undefined, terminal: Terminal): Promise<number> {
  const { logger, recent } = createLog(config, { write: (line) => terminal.out(line) });
  // A crash is told of even where nothing else is.
  const isSilent = config['logging.level'] === 'silent';
  const last = isSilent ? createLog({ ...config, 'logging.level': 'error' }, { write: (line) => terminal.err(line) }).logger : logger;
  terminal.onCrash((error) => {
    last.fatal({ err: error }, 'a failure that nothing caught: the process ends');
    terminal.exit(CRASH_CODE);
  });
  const onFailed = (): never => terminal.exit(CRASH_CODE);
  const server = await startServer({ settings: config, log: logger, recentLines: recent, onFailed });
  const say = speaker(config, logger, terminal);
  say(banner({ server, config, file }), { url: server.url, version: VERSION, needsSetup: server.needsSetup }, 'the server is ready');
  await untilStopped(server, config, { terminal, say });
  return 0;
}

/** Says what a person at the terminal should know, as a line of the log where the log is made for machines. */
type Speaker = (text: string, detail: object, message: string) => void;

function speaker(config: ServerConfig, log: Logger, terminal: Terminal): Speaker {
  if (config['logging.format'] !== 'json') return (text) => terminal.out(text);
  return (_text, detail, message) => log.info(detail, message);
}

/** The words for a failure that is no bug: an error of the table, or the operating system's refusal of a file or a port. */
function explained(error: unknown): string | undefined {
  if (error instanceof KalamError) return `${error.message}\n${error.spec.next}\n`;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return error instanceof Error && /^E[A-Z]+$/.test(code) ? `${error.message}\n` : undefined;
}

/** What the arguments ask for. */
interface CommandLine extends ReadConfig {
  readonly task: 'serve' | 'check' | 'print' | 'verify' | 'restore';
  /** The folder of the backup to restore. */
  readonly from: string | undefined;
  /** The settings file that was read. */
  readonly file: string | undefined;
}

/** The settings of a start and what to do with them; `undefined` when the arguments only asked for help. */
async function readCommandLine(args: readonly string[], terminal: Terminal): Promise<CommandLine | undefined> {
  const command = new Command('kalamdb')
    .description('A SQL database whose queries can stay open.')
    .version(VERSION)
    .argument('[config]', 'TOML file with settings; ./server.toml is read when it exists')
    .addOption(new Option('--check', 'say everything that is wrong with the settings, and end with 0 or 1'))
    .addOption(new Option('--print-config', 'print the settings in force as TOML, each with the place that it comes from'))
    .addOption(new Option('--verify-data', 'read all of the data and say whether it is as it was written, and end with 0 or 1'))
    .addOption(new Option('--restore <folder>', 'make the data directory from the backup in a folder, and end with 0 or 1'))
    .addOption(new Option('--set <name=value>', 'any setting by its dotted name, repeatable').argParser(collect).default([] as string[]))
    .exitOverride()
    // What is wrong with the arguments is thrown, and said once by whoever catches it.
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: () => {} });
  const options = addFlags(command);
  try {
    command.parse([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    if (error instanceof CommanderError) {
      const reason = error.message.replace(/^error: /, '').replaceAll(/\s+/g, ' ');
      throw kalamError('CONFIG_INVALID', { reason }, { cause: error });
    }
    throw error;
  }
  const { set = [], check, printConfig: print, verifyData: verify, restore: from, ...given } = command.opts<Given>();
  const flags: Record<string, string> = Object.fromEntries(set.map(splitPair));
  for (const [attribute, value] of Object.entries(given)) {
    const name = options.get(attribute);
    if (name !== undefined && typeof value === 'string') flags[name] = value;
  }
  const file = await readConfigFile(command.args[0]);
  const read = readConfig({ file, environment: terminal.environment, flags });
  const asked = check === true ? 'check' : print === true ? 'print' : verify === true ? 'verify' : undefined;
  return { ...read, file: file?.path, from, task: asked ?? (from === undefined ? 'serve' : 'restore') };
}

interface Given {
  readonly set?: readonly string[];
  readonly check?: boolean;
  readonly printConfig?: boolean;
  readonly verifyData?: boolean;
  readonly restore?: string;
  readonly [flag: string]: string | readonly string[] | boolean | undefined;
}

/** Gives the command a flag for each setting that has one; the names of the settings by the names of the flags' values. */
function addFlags(command: Command): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const name of SETTING_NAMES) {
    const { flag, description, env } = SETTING_SPECS[name];
    if (flag === undefined) continue;
    const option = new Option(flag, `${description} (${env})`);
    options.set(option.attributeName(), name);
    command.addOption(option);
  }
  return options;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  if (equals < 1) throw kalamError('CONFIG_INVALID', { reason: `--set ${pair} has no '='` });
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

interface Ending {
  readonly terminal: Terminal;
  readonly say: Speaker;
}

/** Waits for the first request to stop, then closes; a second request, or a close that hangs, ends the process at once. */
async function untilStopped(server: RunningServer, config: ServerConfig, { terminal, say }: Ending): Promise<void> {
  let asked = false;
  await new Promise<void>((resolve) => {
    terminal.onStop(() => {
      if (asked) terminal.exit(1);
      asked = true;
      resolve();
    });
  });
  say('Stopping: running requests end, then the data is closed.\n', {}, 'the server stops');
  const limit = config['performance.shutdown_timeout'] * 1000 + EXIT_GRACE_MILLIS;
  const patience = systemTimers.after(limit, () => terminal.exit(1), { keepAlive: true });
  await server.close();
  patience.cancel();
  say('Stopped.\n', {}, 'the server has stopped');
}

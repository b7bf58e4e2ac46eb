import { KalamError, kalamError, systemTimers } from '@kalamdb/protocol';
import { Command, CommanderError, Option } from 'commander';
import { banner } from './banner.ts';
import { readConfigFile } from './config/config-file.ts';
import { type LoadedConfig, loadConfig } from './config/load-config.ts';
import { SETTING_NAMES, SETTING_SPECS } from './config/settings.ts';
import { createLog } from './log.ts';
import { type RunningServer, startServer } from './server.ts';
import { VERSION } from './version.ts';

/** How much longer than `performance.shutdown_timeout` the process may live when it was told to stop. */
const EXIT_GRACE_MILLIS = 10_000;

/** What the process is told and tells. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Calls back on each request to stop (SIGTERM, SIGINT, SIGHUP). */
  onStop(callback: () => void): void;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** Runs the server until it is told to stop, and gives the exit code. Expected failures print one clear text. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const loaded = await readCommandLine(args, terminal);
    if (loaded === undefined) return 0;
    const server = await startServer({ settings: loaded.config, log: createLog(loaded.config) });
    for (const warning of loaded.warnings) terminal.err(`warning: ${warning}\n`);
    terminal.out(banner(server, loaded.config));
    await untilStopped(server, loaded, terminal);
    return 0;
  } catch (error) {
    const text = explained(error);
    if (text === undefined) throw error;
    terminal.err(text);
    return 1;
  }
}

/** The words for a failure that is no bug: an error of the table, or the operating system's refusal of a file or a port. */
function explained(error: unknown): string | undefined {
  if (error instanceof KalamError) return `${error.message}\n${error.spec.next}\n`;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return error instanceof Error && /^E[A-Z]+$/.test(code) ? `${error.message}\n` : undefined;
}

/** The settings of a start; `undefined` when the arguments only asked for help. */
async function readCommandLine(args: readonly string[], terminal: Terminal): Promise<LoadedConfig | undefined> {
  const command = new Command('kalamdb')
    .description('A SQL database whose queries can stay open.')
    .version(VERSION)
    .argument('[config]', 'TOML file with settings; ./server.toml is read when it exists')
    .addOption(new Option('--set <name=value>', 'any setting by its dotted name, repeatable').argParser(collect).default([] as string[]))
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) });
  const options = new Map<string, string>();
  for (const name of SETTING_NAMES) {
    const { flag, description, env } = SETTING_SPECS[name];
    if (flag === undefined) continue;
    const option = new Option(flag, `${description} (${env})`);
    options.set(option.attributeName(), name);
    command.addOption(option);
  }
  try {
    command.parse([...args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    if (error instanceof CommanderError) throw kalamError('CONFIG_INVALID', { reason: error.message }, { cause: error });
    throw error;
  }
  const { set = [], ...given } = command.opts<{ set?: string[]; [flag: string]: string | string[] | undefined }>();
  const flags: Record<string, string> = Object.fromEntries(set.map(splitPair));
  for (const [attribute, value] of Object.entries(given)) {
    const name = options.get(attribute);
    if (name !== undefined && typeof value === 'string') flags[name] = value;
  }
  return loadConfig({ file: await readConfigFile(command.args[0]), environment: terminal.environment, flags });
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  if (equals < 1) throw kalamError('CONFIG_INVALID', { reason: `--set ${pair} has no '='` });
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

/** Waits for the first request to stop, then closes; a second request, or a close that hangs, ends the process at once. */
async function untilStopped(server: RunningServer, { config }: LoadedConfig, terminal: Terminal): Promise<void> {
  let asked = false;
  await new Promise<void>((resolve) => {
    terminal.onStop(() => {
      if (asked) terminal.exit(1);
      asked = true;
      resolve();
    });
  });
  terminal.out('Stopping: running requests end, then the data is closed.\n');
  const limit = config['performance.shutdown_timeout'] * 1000 + EXIT_GRACE_MILLIS;
  const patience = systemTimers.after(limit, () => terminal.exit(1), { keepAlive: true });
  await server.close();
  patience.cancel();
  terminal.out('Stopped.\n');
}

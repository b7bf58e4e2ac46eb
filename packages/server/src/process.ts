import { runCommandLine } from './command-line.ts';

/** Runs the command line on this process and ends it with the exit code. Loaded by `main.cts` only. */
export async function runProcess(): Promise<never> {
  const exit = (code: number): never => process.exit(code);
  const code = await runCommandLine(process.argv.slice(2), {
    environment: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    onStop(callback) {
      process.on('SIGTERM', callback);
      process.on('SIGINT', callback);
      process.on('SIGHUP', callback);
    },
    onCrash(callback) {
      process.on('uncaughtException', callback);
      process.on('unhandledRejection', callback);
    },
    exit,
  });
  return exit(code);
}

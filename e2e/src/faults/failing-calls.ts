import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../src/faults/fault-io.c', import.meta.url));
const childModule = (name: string): string => fileURLToPath(new URL(`../../dist/faults/${name}.js`, import.meta.url));

/** What goes wrong with a call: nothing is done and it fails, a write does only half of it, or the process is killed in the middle of it. */
export type CallFault = 'ENOSPC' | 'EIO' | 'SHORT' | 'KILL';

/** Calls that fail, counted from the moment at which the child has opened its data. */
export interface FailingCalls {
  readonly first: number;
  readonly count: number;
  readonly kind: CallFault;
  /** Whether calls that make, rename and remove files are concerned as well. */
  readonly names?: boolean | undefined;
}

/** What a child did while its disk failed. */
export interface FaultedRun {
  /** Calls that were made to fail. */
  readonly faults: number;
  /** Numbers it says are committed, in order. */
  readonly acknowledged: readonly number[];
  /** What it says of failures, each once. */
  readonly errors: ReadonlySet<string>;
  /** Whether it came to its end by itself. */
  readonly done: boolean;
  /** Everything it said, for a message. */
  readonly output: string;
}

/** The compiler's name, or `undefined` when there is none or this is not a system with preloading. */
export function compiler(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  return ['cc', 'gcc'].find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

/** A folder for one test: the compiled library and data directories. Whoever makes one removes it. */
export class FaultFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), 'kalamdb-faults-'));
  readonly #library: string = join(this.path, 'fault-io.so');

  /** Compiles the library; throws with the compiler's output. */
  constructor(cc: string) {
    const { status, stderr } = spawnSync(cc, ['-shared', '-fPIC', '-O2', '-o', this.#library, source, '-ldl'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the fault library does not compile: ${stderr}`);
  }

  /** Runs a child with failing calls on the files below `directory`. */
  async run(module: string, childArguments: readonly string[], faults: FailingCalls & { readonly directory: string }): Promise<FaultedRun> {
    const reportPath = join(this.path, `report-${faults.kind}-${faults.first}`);
    const env = {
      ...process.env,
      LD_PRELOAD: this.#library,
      FAULT_DIRECTORY: faults.directory,
      FAULT_FIRST: String(faults.first),
      FAULT_COUNT: String(faults.count),
      FAULT_KIND: faults.kind,
      FAULT_REPORT: reportPath,
      ...(faults.names === true ? { FAULT_NAMES: '1' } : {}),
    };
    const result = await runChild(process.execPath, [childModule(module), ...childArguments], env);
    const count = existsSync(reportPath) ? statSync(reportPath).size : 0;
    rmSync(reportPath, { force: true });
    return { ...result, faults: count };
  }

  dispose(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Runs a child whose files may not grow beyond `blocks` of 1,024 bytes. */
export function runLimited(module: string, childArguments: readonly string[], blocks: number): Promise<Omit<FaultedRun, 'faults'>> {
  const script = `ulimit -f ${blocks} && exec "$0" "$@"`;
  return runChild('/bin/bash', ['-c', script, process.execPath, childModule(module), ...childArguments], process.env);
}

async function runChild(command: string, childArguments: readonly string[], env: NodeJS.ProcessEnv): Promise<Omit<FaultedRun, 'faults'>> {
  const child = spawn(command, childArguments, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  await once(child, 'close');
  return {
    acknowledged: [...output.matchAll(/^ack (\d+)$/gm)].map(([, n]) => Number(n)),
    errors: new Set([...output.matchAll(/^error (.*)$/gm)].map(([, text = '']) => text)),
    done: /^done \d+$/m.test(output),
    output,
  };
}

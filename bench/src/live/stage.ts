import { cpuMicros } from '../server-figures.ts';
import { run, type Target, withConnections } from '../target.ts';
import { Subscribers } from './subscribers.ts';

/** Columns of every table that is followed: what the subscribers check, and something below 100 to filter by. */
export const FOLLOWED_COLUMNS = 'id BIGINT PRIMARY KEY, at BIGINT, grp INT, body TEXT';
/** Writers of a stage. */
const CONNECTIONS = 16;

/** Executes a statement; rejects when it fails. One at a time. */
export type Write = (sql: string) => Promise<unknown>;

/** A table that is written to, and who follows it: of this product, or of a peer. */
export interface Stage {
  readonly table: string;
  readonly writes: readonly Write[];
  readonly subscribers: Subscribers;
  /** Seconds that a case is measured. */
  readonly seconds: number;
  /** Processor time of the process that sends the events. */
  cpuMicros(): number;
}

/** A server of this product. */
export interface Subject {
  readonly target: Target;
  readonly pid: number;
}

/** Makes a table of a server, with nobody on it, for as long as `work` takes. */
export function withStage<T>(
  { target, pid }: Subject,
  { kind, table }: { readonly kind: 'SHARED' | 'USER'; readonly table: string },
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  return withConnections(target.url, CONNECTIONS, (connections) =>
    Subscribers.with(async (subscribers) => {
      const writes = connections.map((connection) => (sql: string) => run(connection, target, sql));
      // A server does not wait long for the first request of a connection.
      await Promise.all(writes.map((write) => write('SELECT 1')));
      const stage = { table, writes, subscribers, seconds: target.seconds, cpuMicros: () => cpuMicros(pid) };
      await firstWrite(stage)(`CREATE ${kind} TABLE ${table} (${FOLLOWED_COLUMNS})`);
      return work(stage);
    }),
  );
}

/** The writer of cases that need one. */
export function firstWrite({ writes }: Pick<Stage, 'writes'>): Write {
  const [write] = writes;
  if (write === undefined) throw new Error('a stage without writers');
  return write;
}

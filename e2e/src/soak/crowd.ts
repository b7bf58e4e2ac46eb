import type { SeededRandom } from '@kalamdb/testing';
import { type LiveQuery, type LiveTable, liveQuery, Place } from '../live-oracle/places.ts';
import { RawConnection, WIRE_FORMS } from '../live-oracle/raw-connection.ts';
import { RawFollower } from '../live-oracle/raw-follower.ts';
import { ROW_FILTERS } from '../live-oracle/row-filter.ts';

const SUBSCRIPTIONS_PER_SOCKET = 6;
const LIFE_MILLIS_MAX = 20_000;

/** What a crowd needs. */
export interface CrowdParts {
  readonly random: SeededRandom;
  readonly port: () => number;
  readonly users: readonly string[];
  readonly tokenOf: (user: string) => string;
  readonly tables: readonly LiveTable[];
}

interface Socket {
  readonly connection: RawConnection;
  readonly user: string;
  readonly followers: Set<RawFollower>;
}

/** So many sockets with their subscriptions, each of which lives for some seconds before another takes its place. */
export class Crowd {
  readonly #parts: CrowdParts;
  readonly #places = new Map<string, Place>();
  readonly counts = { sockets: 0, subscriptions: 0, resumes: 0, cuts: 0, frames: 0, late: 0 };
  readonly #over: () => boolean;
  #ids = 0;

  /** It is there until `over` says so. */
  constructor(parts: CrowdParts, over: () => boolean) {
    this.#parts = parts;
    this.#over = over;
  }

  /** Resolves when everybody has gone. */
  async run(sockets: number): Promise<void> {
    await Promise.all(Array.from({ length: sockets }, () => this.#place()));
  }

  /** One place in the crowd: a socket, and after it another one. */
  async #place(): Promise<void> {
    const { random, port, users, tokenOf } = this.#parts;
    while (!this.#over()) {
      const user = random.pick(users);
      const connection = new RawConnection({ port, token: tokenOf(user), form: random.pick(WIRE_FORMS) });
      const followers = new Set<RawFollower>();
      const socket: Socket = { connection, user, followers };
      for (let count = 0; count < SUBSCRIPTIONS_PER_SOCKET; count++) this.#follow(socket);
      for (let life = 1 + random.integer(2); life > 0 && !this.#over(); life--) await this.#live(socket);
      for (const { problems, resumes } of followers) {
        if (problems.length > 0) throw new Error(problems.join('\n'));
        this.counts.resumes += resumes;
      }
    }
  }

  /** From the opening of a socket to its end, which comes without a word. */
  async #live(socket: Socket): Promise<void> {
    const { connection, followers } = socket;
    const { random } = this.#parts;
    try {
      await connection.open();
    } catch {
      // the machine has more to do than it can
      this.counts.late += 1;
      return;
    }
    this.counts.sockets += 1;
    const end = performance.now() + random.integer(LIFE_MILLIS_MAX);
    while (performance.now() < end && !this.#over()) {
      await new Promise((resolve) => setTimeout(resolve, 100 + random.integer(400)));
      for (const follower of followers) this.counts.frames += follower.heard.splice(0).length;
      const kind = random.integer(12);
      if (kind === 0) this.#follow(socket);
      else if (kind === 1) this.#leave(socket, random.pick([...followers]));
      else if (kind === 2) connection.pause();
      else connection.resume();
      if (followers.size === 0) this.#follow(socket);
    }
    const gone = new Promise<void>((resolve) => {
      connection.onGone = resolve;
    });
    connection.resume();
    connection.drop();
    await gone;
    this.counts.cuts += 1;
  }

  #leave({ connection, followers }: Socket, follower: RawFollower): void {
    followers.delete(follower);
    connection.leave(follower);
  }

  #follow({ connection, user, followers }: Socket): void {
    const { random } = this.#parts;
    const beginning = random.pick([{ kind: 'whole' }, { kind: 'changes' }, { kind: 'newest', rows: 10 }] as const);
    const query = this.#query(user);
    const batchSize = random.pick([10, 100, 1000]);
    this.counts.subscriptions += 1;
    const follower = new RawFollower(`s${++this.#ids}`, connection, { query, beginning, batchSize });
    followers.add(follower);
    connection.follow(follower);
  }

  #query(user: string): LiveQuery {
    const { random, tables } = this.#parts;
    const table = random.pick(tables);
    const place = this.#places.get(table.name) ?? new Place(table, undefined);
    this.#places.set(table.name, place);
    return liveQuery({ place, user, filter: random.pick(ROW_FILTERS), columns: undefined });
  }
}

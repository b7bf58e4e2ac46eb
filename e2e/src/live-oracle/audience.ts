import type { SeededRandom } from '@kalamdb/testing';
import { type Beginning, type Heard, Judge, told } from './judge.ts';
import { type LiveQuery, type LiveTable, liveQuery, type Place, STABLE_COLUMNS } from './places.ts';
import { RawConnection, WIRE_FORMS } from './raw-connection.ts';
import { RawFollower } from './raw-follower.ts';
import { ROW_FILTERS } from './row-filter.ts';
import { drawWindow, WindowFollower, windowSelect } from './window-follower.ts';

const FOLLOWERS_PER_CONNECTION_MAX = 8;
const WINDOWS_PER_CONNECTION = 3;
/** Subscriptions of the connection that reads slowly. */
const SLOW_FOLLOWERS = 4;
/** Heard things that are shown when something is wrong. */
const SHOWN_MAX = 40;
const REST_MILLIS_MAX = 60_000;

/** What an audience needs of the run. */
export interface AudienceParts {
  readonly random: SeededRandom;
  readonly places: readonly Place[];
  readonly count: (what: string, by?: number) => void;
  readonly tokenOf: (user: string) => string;
  /** The rows of a SELECT. */
  readonly select: (user: string, sql: string) => Promise<readonly (readonly unknown[])[]>;
  /** Ports: of the server, and of the network that fails. */
  readonly ports: { readonly server: () => number; readonly network: () => number };
}

interface Seat {
  readonly connection: RawConnection;
  readonly user: string;
  /** Rounds for which it stays away. */
  absence: number;
  /** It is being opened. */
  returns: boolean;
  readonly judges: Map<RawFollower, Judge>;
  readonly windows: Set<WindowFollower>;
}

/** Which places a user can see. */
const placesOf = (places: readonly Place[], user: string): readonly Place[] =>
  places.filter(({ owner }) => owner === undefined || owner === user);

/** Draws a live query of a user. */
export function drawQuery(random: SeededRandom, places: readonly Place[], user: string): LiveQuery {
  const place = random.pick(placesOf(places, user));
  const others = STABLE_COLUMNS.filter((name) => name !== 'id' && random.integer(2) === 0);
  const passing = place.table.passing === undefined || random.integer(2) === 0 ? [] : [place.table.passing];
  const columns = random.integer(2) === 0 ? undefined : [...others.slice(1), 'id', ...others.slice(0, 1), ...passing];
  return liveQuery({ place, user, filter: random.pick(ROW_FILTERS), columns });
}

/** What is wrong, with everything that led to it. */
export function complaint(query: LiveQuery, problem: unknown, heard: readonly Heard[], asked = ''): Error {
  const text = [
    `${query.user}: ${query.sql} ${asked}`,
    problem instanceof Error ? problem.message : String(problem),
    `what was heard last:`,
    ...heard.slice(-SHOWN_MAX).map(told),
    `statements on ${query.place.name}:`,
    ...query.place.trace,
  ];
  return new Error(text.join('\n'), { cause: problem });
}

/** All raw connections with their followers: how they come, go, stop reading and return, and what they were told. */
export class Audience {
  readonly #parts: AudienceParts;
  readonly #seats: Seat[] = [];
  #slow: Seat | undefined;
  #ids = 0;
  #closed = false;

  constructor(parts: AudienceParts) {
    this.#parts = parts;
  }

  /** A connection in every form for each user, directly and through the network that fails. */
  open(users: readonly string[]): void {
    const { ports, tokenOf, random } = this.#parts;
    for (const [index, form] of WIRE_FORMS.entries()) {
      for (const port of [ports.server, ports.network]) {
        const user = users[(index + this.#seats.length) % users.length] ?? 'root';
        const seat = this.#seat(user, new RawConnection({ port, token: tokenOf(user), form }));
        for (let count = 0; count < 3; count++) this.#join(seat);
        void this.#return(seat);
      }
    }
    const form = random.pick(WIRE_FORMS.filter(({ gzip }) => !gzip));
    const slow = this.#seat('root', new RawConnection({ port: ports.server, token: tokenOf('root'), form }));
    const shared = this.#parts.places.filter(({ owner, table }) => owner === undefined && table.kind === 'shared');
    for (const place of shared) {
      for (const filter of ROW_FILTERS.slice(0, SLOW_FOLLOWERS)) {
        this.#follow(slow, liveQuery({ place, user: 'root', filter, columns: undefined }), { kind: 'whole' });
      }
    }
    this.#slow = slow;
    void this.#return(slow);
  }

  /** A connection with whole tables stops reading until `enough` says so, while others write. */
  async readSlowly(enough: () => Promise<void>): Promise<void> {
    const connection = this.#slow?.connection;
    if (connection?.isOpen !== true) return;
    connection.pause();
    try {
      await enough();
    } finally {
      connection.resume();
    }
  }

  /** One of the things that subscribers do, or that happens to them. */
  async step(): Promise<void> {
    const { random } = this.#parts;
    const seat = random.pick(this.#seats);
    const followers = [...seat.judges.keys()];
    const kind = random.integer(20);
    if (seat === this.#slow || (kind < 3 && random.integer(4) > 0)) return;
    if (kind === 0) seat.connection.drop();
    else if (kind === 1) this.#leaveForLong(seat);
    else if (kind === 2) this.#pause(seat);
    else if (kind < 6 && followers.length < FOLLOWERS_PER_CONNECTION_MAX) this.#join(seat);
    else if (kind === 6) this.#changeWindow(seat);
    else if (kind === 7 && followers.length > 1) this.#leave(seat, random.pick(followers));
    else if (kind === 8 && followers.length > 0) this.#again(random.pick(followers));
    else if (kind < 14 && followers.length > 0) this.#ask(random.pick(followers));
  }

  /** Catch-up over an alteration may leave versions out. */
  altering(table: LiveTable): void {
    for (const { judges } of this.#seats) {
      for (const follower of judges.keys()) if (follower.options.query.place.table === table) follower.altering();
    }
  }

  /** Everybody who is not away comes to rest, with everything told that was committed; then each is judged. */
  async rest(): Promise<ReadonlyMap<LiveQuery, Judge>> {
    const present = this.#seats.filter((seat) => seat.absence === 0 || --seat.absence === 0);
    await Promise.all(present.map((seat) => this.#settle(seat)));
    const judged = new Map<LiveQuery, Judge>();
    for (const seat of present) {
      for (const follower of seat.windows) await this.#compareWindow(follower);
      for (const [follower, judge] of [...seat.judges]) {
        const { query } = follower.options;
        this.#judge(follower, judge);
        judged.set(query, judge);
        if (follower.ended === undefined) continue;
        this.#checkEnd(follower);
        judged.delete(query);
        this.#leave(seat, follower);
        this.#join(seat);
      }
    }
    return judged;
  }

  /** Ends every subscription and connection. */
  close(): void {
    this.#closed = true;
    for (const { connection } of this.#seats) connection.drop();
  }

  #join(seat: Seat): void {
    const { random, places } = this.#parts;
    const query = drawQuery(random, places, seat.user);
    const beginnings: readonly Beginning[] = [
      { kind: 'whole' },
      { kind: 'whole' },
      { kind: 'whole' },
      { kind: 'changes' },
      { kind: 'newest', rows: random.integer(6) },
      ...(query.place.table.kind === 'stream' ? [] : [{ kind: 'since', seq: this.#someSeq(query.place) } as const]),
    ];
    this.#follow(seat, query, random.pick(beginnings));
  }

  #follow(seat: Seat, query: LiveQuery, beginning: Beginning): void {
    const { random, count } = this.#parts;
    const batchSize = random.integer(3) === 0 ? undefined : random.pick([1, 3, 10, 1000]);
    const follower = new RawFollower(`f${++this.#ids}`, seat.connection, { query, beginning, batchSize });
    seat.judges.set(follower, new Judge(query, beginning));
    seat.connection.follow(follower);
    count(`subscribed: ${beginning.kind}`);
  }

  #seat(user: string, connection: RawConnection): Seat {
    const seat: Seat = { connection, user, absence: 0, returns: false, judges: new Map(), windows: new Set() };
    connection.onGone = () => void this.#return(seat);
    this.#seats.push(seat);
    return seat;
  }

  /** Another window in the place of the oldest. */
  #changeWindow({ connection, user, windows }: Seat): void {
    const { random, places, count } = this.#parts;
    const [oldest] = windows;
    if (oldest !== undefined && windows.size === WINDOWS_PER_CONNECTION) {
      windows.delete(oldest);
      connection.leave(oldest);
    }
    const window = drawWindow(
      random,
      drawQuery(
        random,
        places.filter(({ table }) => table.passing === undefined),
        user,
      ),
    );
    const batchSize = random.integer(2) === 0 ? undefined : random.pick([1, 4]);
    const follower = new WindowFollower(`w${++this.#ids}`, connection, { window, batchSize });
    windows.add(follower);
    connection.follow(follower);
    count('subscribed: window');
  }

  /** Nobody writes: what a window shows becomes what the SELECT answers, and stays so. */
  async #compareWindow(follower: WindowFollower): Promise<void> {
    const { select, count } = this.#parts;
    const { query } = follower.window;
    const sql = windowSelect(follower.window);
    const wanted = JSON.stringify(await select(query.user, sql));
    const deadline = performance.now() + REST_MILLIS_MAX;
    while (JSON.stringify(follower.shown) !== wanted && follower.problems.length === 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const shown = JSON.stringify(follower.shown);
    if (shown !== wanted) follower.problems.push(`shows ${shown}\nnot ${wanted}`);
    if (follower.problems.length > 0) throw complaint(query, `${follower.problems.join('\n')}\n${follower.heard.join('\n')}`, [], sql);
    count('windows compared');
    count('window changes', follower.changes);
    follower.changes = 0;
  }

  #someSeq({ history }: Place): bigint {
    const { versions } = history;
    return versions.length === 0 ? 1n : this.#parts.random.pick(versions).seq;
  }

  #leave(seat: Seat, follower: RawFollower): void {
    seat.judges.delete(follower);
    seat.connection.leave(follower);
  }

  /** The same id again on its connection: what was there is replaced. */
  #again(follower: RawFollower): void {
    if (!follower.isLive) return;
    follower.ask();
    this.#parts.count('replaced');
  }

  #ask(follower: RawFollower): void {
    const { count } = this.#parts;
    void follower.caughtUp(follower.options.query.place.history.seq).then((answered) => answered && count('caught up while writers write'));
  }

  #leaveForLong(seat: Seat): void {
    if (this.#seats.filter(({ absence }) => absence > 0).length > 2) return;
    seat.absence = 1 + this.#parts.random.integer(3);
    seat.connection.drop();
    this.#parts.count('long absences');
  }

  /** Stops reading for a moment. */
  #pause({ connection }: Seat): void {
    const { random, count } = this.#parts;
    if (!connection.isOpen || !connection.reads) return;
    connection.pause();
    count('pauses');
    setTimeout(() => connection.resume(), 300 + random.integer(1_500));
  }

  /** Opens a connection that is gone, again and again, unless its owner wants to be away. */
  async #return(seat: Seat): Promise<void> {
    if (seat.returns) return;
    seat.returns = true;
    while (!this.#closed && seat.absence === 0 && !seat.connection.isOpen) {
      await new Promise((resolve) => setTimeout(resolve, 10 + this.#parts.random.integer(200)));
      if (!this.#closed && seat.absence === 0) await seat.connection.open().catch(() => undefined);
    }
    seat.returns = false;
  }

  async #settle(seat: Seat): Promise<void> {
    const deadline = performance.now() + REST_MILLIS_MAX;
    seat.connection.resume();
    if (!seat.connection.isOpen) void this.#return(seat);
    for (const follower of seat.judges.keys()) {
      while (!(await this.#isAtRest(follower))) {
        if (follower.ended !== undefined) break;
        if (performance.now() > deadline)
          throw complaint(follower.options.query, 'does not catch up', follower.heard, told(follower.standing));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  async #isAtRest(follower: RawFollower): Promise<boolean> {
    const { query, beginning } = follower.options;
    const { history } = query.place;
    if (beginning.kind !== 'changes') return follower.caughtUp(history.seq);
    const began = follower.heard.findLast(({ kind }) => kind === 'begin');
    const last = history.versions.findLast(
      (version) =>
        [version, version.previous].some((one) => one?.deleted === false && query.filter.test(one.cells, query.user) === true) &&
        !history.isGone(version.seq),
    );
    const isOld = last === undefined || (began?.kind === 'begin' && last.sentAt < began.at) || follower.highest >= last.seq;
    return follower.isLive && isOld;
  }

  #judge(follower: RawFollower, judge: Judge): void {
    const { heard } = follower;
    follower.heard = [];
    try {
      for (const one of heard) judge.take(one);
      if (follower.ended === undefined) judge.rest();
      if (follower.problems.length > 0) throw new Error(follower.problems.join('\n'));
    } catch (error) {
      throw complaint(follower.options.query, error, heard, told({ ...follower.options, query: undefined }));
    }
    this.#parts.count('resumes', follower.resumes);
    this.#parts.count('resyncs', follower.resyncs);
    follower.resumes = 0;
    follower.resyncs = 0;
    this.#parts.count('judged');
  }

  /** The only thing that may end a subscription here is that a column of its query has gone. */
  #checkEnd({ ended, options: { query }, heard }: RawFollower): void {
    const named = query.columns?.some((name) => !STABLE_COLUMNS.includes(name)) === true;
    const isGone = ended?.code === 'SUBSCRIPTION_ENDED' || ended?.code === 'INVALID_SQL' || ended?.code === 'SUBSCRIPTION_FAILED';
    if (!named || !isGone) throw complaint(query, `ended: ${ended?.code}: ${ended?.message}`, heard);
    this.#parts.count('ended by an alteration');
  }
}

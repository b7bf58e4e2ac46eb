import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createGunzip } from 'node:zlib';

/** How often the server's memory is looked at. */
const LOOK_MILLIS = 20;

/** Who reads an answer, and how. */
export interface Reader {
  readonly url: string;
  readonly token: string;
  /** The server's, for its memory. */
  readonly pid: number;
  readonly isCompressed?: boolean;
  /** The rows may come in any order; otherwise theirs is checked. */
  readonly isUnordered?: boolean;
  /** Milliseconds of rest after each piece that comes; none unless given. */
  readonly restMillis?: number;
}

/** What came of an answer, and what it cost. */
export interface ReadAnswer {
  /** Rows in it; they had the ids 0, 1, 2 …, or reading had failed. */
  readonly rows: number;
  /** What the end of the body says. */
  readonly rowCount: number;
  readonly bytes: number;
  readonly firstByteMillis: number;
  readonly millis: number;
  /** The most of its own memory that the server held while the answer was read, over what it held before. */
  readonly grownBytes: number;
}

/** Bytes of memory that are the process's own: what it has mapped of files, the system takes back when it needs it. */
export function ownBytes(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) * 1024;
}

/** Sends a statement; resolves with the head of its answer. */
export async function ask({ url, token, isCompressed = false }: Omit<Reader, 'pid'>, sql: string): Promise<IncomingMessage> {
  const encoding = isCompressed ? { 'accept-encoding': 'gzip' } : {};
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...encoding };
  const asked = request(`${url}/v1/api/sql`, { method: 'POST', headers });
  asked.end(JSON.stringify({ sql }));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return response;
}

/** Reads an answer whose rows begin with the numbers 0, 1, 2 … without holding it. Throws when one is missing or in the wrong place. */
export async function readAnswer(reader: Reader, sql: string): Promise<ReadAnswer> {
  const before = ownBytes(reader.pid);
  let most = before;
  const looks = setInterval(() => {
    most = Math.max(most, ownBytes(reader.pid));
  }, LOOK_MILLIS);
  const start = performance.now();
  try {
    const response = await ask(reader, sql);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}`);
    const body = reader.isCompressed === true ? response.pipe(createGunzip()) : response;
    const count = new RowCount(reader.isUnordered === true);
    let firstByteMillis: number | undefined;
    for await (const chunk of body) {
      firstByteMillis ??= performance.now() - start;
      count.add(chunk as Buffer);
      if (reader.restMillis !== undefined) await new Promise((resolve) => setTimeout(resolve, reader.restMillis));
    }
    const grownBytes = most - before;
    return { ...count.end(), firstByteMillis: firstByteMillis ?? 0, millis: performance.now() - start, grownBytes };
  } finally {
    clearInterval(looks);
  }
}

/** Counts the rows of a body as it comes. */
class RowCount {
  readonly #isUnordered: boolean;
  #tail = '';
  #bytes = 0;
  #rows = 0;
  #sum = 0;

  constructor(isUnordered: boolean) {
    this.#isUnordered = isUnordered;
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const text = this.#tail + chunk.toString('latin1');
    const whole = text.lastIndexOf('],[') + 1;
    this.#count(text.slice(0, whole));
    this.#tail = text.slice(whole);
  }

  end(): Pick<ReadAnswer, 'rows' | 'rowCount' | 'bytes'> {
    this.#count(this.#tail);
    const end = /"row_count":(\d+),"as_user":"root"\}\],"took":[\d.]+,"error":null\}$/.exec(this.#tail);
    if (end === null) throw new Error(`the body ends with ${this.#tail.slice(-200)}`);
    if (this.#sum !== (this.#rows * (this.#rows - 1)) / 2) throw new Error('a row came twice, or another in its place');
    return { rows: this.#rows, rowCount: Number(end[1]), bytes: this.#bytes };
  }

  #count(text: string): void {
    for (const [, id] of text.matchAll(/(?:"rows":\[|^,|\],)\["?(\d+)"?[,\]]/g)) {
      if (!this.#isUnordered && Number(id) !== this.#rows) throw new Error(`row ${id} came in the place of row ${this.#rows}`);
      this.#rows += 1;
      this.#sum += Number(id);
    }
  }
}

import { Buffer } from 'node:buffer';
import type { SeededRandom } from '@kalamdb/testing';
import { type DiskEvent, type Inode, patched, type RecordedDisk } from './recorded-disk.ts';

/** The unit that a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

interface Sector {
  readonly inode: Inode;
  readonly position: number;
  readonly bytes: Buffer;
}

/** What may be on the disk at a moment, beside what is for certain. */
interface Undecided {
  readonly durable: ReadonlyMap<Inode, Buffer>;
  /** In the order in which they were written; any of them may be missing. */
  readonly sectors: readonly Sector[];
  /** One of these: a file system's journal keeps the order of changes of names. */
  readonly names: readonly ReadonlyMap<string, Inode>[];
}

interface PendingWrite {
  readonly event: number;
  readonly inode: Inode;
  readonly position: number;
  readonly bytes: Buffer;
  /** A sync that covered it has failed. */
  doubtful: boolean;
}

/** Sectors of a write; a write that begins or ends inside of one takes only that part, as a file system's block cache does. */
function* sectorsOf({ inode, position, bytes }: PendingWrite): Iterable<Sector> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
    yield { inode, position: position + at, bytes: bytes.subarray(at, end) };
    at = end;
  }
}

class Replay {
  readonly #durable: Map<Inode, Buffer>;
  #pending: PendingWrite[] = [];
  #names: { readonly event: number; readonly names: ReadonlyMap<string, Inode> }[];

  constructor(disk: RecordedDisk) {
    this.#durable = new Map([...disk.startContents].map(([inode, content]) => [inode, Buffer.from(content)]));
    this.#names = [{ event: -1, names: disk.startNames }];
  }

  take(event: DiskEvent, index: number): void {
    switch (event.kind) {
      case 'write':
        this.#pending.push({ ...event, event: index, doubtful: false });
        break;
      case 'written through':
        this.#settle((write) => write.event === event.write);
        break;
      case 'synced':
        this.#settle((write) => write.inode === event.inode && write.event < event.upTo && !write.doubtful);
        break;
      case 'sync failed':
        for (const write of this.#pending) if (write.inode === event.inode && write.event < event.upTo) write.doubtful = true;
        break;
      case 'names':
        this.#names.push({ event: index, names: event.names });
        break;
      case 'names synced': {
        const last = this.#names.findLastIndex((state) => state.event < event.upTo);
        this.#names = this.#names.slice(Math.max(last, 0));
        break;
      }
      case 'mark':
        break;
      default:
        event satisfies never;
    }
  }

  undecided(): Undecided {
    return {
      durable: this.#durable,
      sectors: this.#pending.flatMap((write) => [...sectorsOf(write)]),
      names: this.#names.map(({ names }) => names),
    };
  }

  #settle(isDurable: (write: PendingWrite) => boolean): void {
    const settled = this.#pending.filter(isDurable);
    this.#pending = this.#pending.filter((write) => !isDurable(write));
    for (const write of settled) {
      const { inode, position, bytes } = write;
      this.#durable.set(inode, patched(Buffer.from(this.#durable.get(inode) ?? Buffer.alloc(0)), position, bytes));
      // What was written there before cannot come to the disk any more.
      this.#pending = this.#pending.flatMap((other) =>
        other.inode === inode && other.event < write.event ? without(other, write) : [other],
      );
    }
  }
}

/** The parts of a write that another one does not cover. */
const without = (write: PendingWrite, cover: PendingWrite): PendingWrite[] => {
  const { position, bytes } = write;
  const head = bytes.subarray(0, Math.max(0, cover.position - position));
  const tailStart = Math.max(0, cover.position + cover.bytes.length - position);
  const tail = bytes.subarray(tailStart);
  if (head.length === bytes.length || tail.length === bytes.length) return [write];
  const parts = [
    { ...write, bytes: head },
    { ...write, bytes: tail, position: position + tailStart },
  ];
  return parts.filter((part) => part.bytes.length > 0);
};

const build = ({ durable, names }: Undecided, sectors: readonly Sector[], nameState: number): Map<string, Buffer> => {
  const contents = new Map<Inode, Buffer>();
  const contentOf = (inode: Inode): Buffer => contents.get(inode) ?? Buffer.from(durable.get(inode) ?? Buffer.alloc(0));
  for (const { inode, position, bytes } of sectors) contents.set(inode, patched(contentOf(inode), position, bytes));
  return new Map([...(names[nameState] ?? [])].map(([path, inode]) => [path, contentOf(inode)]));
};

/** Which of `count` sectors are kept: each all, none, all before one, all but one, one alone, and some by chance. */
function* selections(count: number, random: SeededRandom, samples: number): Iterable<(index: number) => boolean> {
  yield () => false;
  if (count === 0) return;
  yield () => true;
  if (count > 1 && count <= 4) {
    for (let bits = 1; bits < 2 ** count - 1; bits += 1) yield (index) => ((bits >>> index) & 1) === 1;
    return;
  }
  for (let sample = 0; sample < samples; sample += 1) {
    const one = random.integer(count);
    yield (index) => index < one;
    yield (index) => index !== one;
    yield (index) => index === one;
    const bits = random.bytes(count);
    yield (index) => ((bits[index] ?? 0) & 1) === 1;
  }
}

/** What a power cut right before event `cut` may leave: every state of the names with every selection of sectors. */
export function* powerCuts(
  disk: RecordedDisk,
  options: { readonly random: SeededRandom; readonly samples: number },
): Iterable<{ cut: number; files: Map<string, Buffer> }> {
  const replay = new Replay(disk);
  for (let cut = 0; cut <= disk.events.length; cut += 1) {
    const state = replay.undecided();
    const before = disk.events[cut - 1];
    // A mark changes nothing on the disk, but what is demanded of it.
    if (before === undefined || before.kind !== 'mark' || disk.events[cut]?.kind !== 'mark') {
      for (let names = 0; names < state.names.length; names += 1) {
        for (const kept of selections(state.sectors.length, options.random, options.samples)) {
          yield {
            cut,
            files: build(
              state,
              state.sectors.filter((_, index) => kept(index)),
              names,
            ),
          };
        }
      }
    }
    const event = disk.events[cut];
    if (event !== undefined) replay.take(event, cut);
  }
}

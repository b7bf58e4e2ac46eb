import { encodeKeyCells, plainType } from '@kalamdb/protocol';
import { emptyManifest, type Manifest, noRows, type RowKey, type Segment } from '@kalamdb/storage';
import { expect, it } from 'vitest';
import { MANIFESTS } from '../catalog/system-tables/manifests.ts';
import type { RowVersion } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import type { Snapshot } from '../partition/snapshot.ts';
import { ColdAhead } from './cold-ahead.ts';
import type { ColdScan } from './cold-reader.ts';
import { RecentStretches } from './recent-stretches.ts';

const partition = { tableId: 7, owner: '' };

const keyOf = (id: number): RowKey => encodeKeyCells([BigInt(id)], [plainType('bigint')]) as RowKey;

/** Holds the rows with these `_seq`s. */
function segment(number: number, minSeq: bigint, maxSeq: bigint): Segment {
  const bloom = { path: `batch-${number}.bloom`, bytes: 1, checksum: 1 };
  const rows = Number(maxSeq - minSeq) + 1;
  const sizes = { rows, tombstones: 0, bytes: 1, memoryBytes: 1, checksum: 1, masked: noRows, maskedTombstones: 0 };
  const range = { minSeq, maxSeq, minKey: keyOf(Number(minSeq)), maxKey: keyOf(Number(maxSeq)) };
  return { number, path: `batch-${number}.parquet`, schemaVersion: 1, ...sizes, ...range, createdAtMillis: 0, stats: new Map(), bloom };
}

function manifestOf(segments: readonly Segment[]): Manifest {
  return { ...emptyManifest, version: 1, flushedSeq: segments.at(-1)?.maxSeq ?? 0n, nextNumber: 10, segments };
}

function* rowsOf({ segments }: Manifest, afterSeq: bigint): Iterable<RowVersion> {
  for (const { number, minSeq, maxSeq } of segments) {
    for (let seq = minSeq; seq <= maxSeq; seq++) {
      const masks = { segment: number, row: Number(seq - minSeq), deleted: false };
      if (seq > afterSeq) yield { key: keyOf(Number(seq)), seq, createdSeq: seq, deleted: false, cells: [], masks };
    }
  }
}

class World {
  manifest = manifestOf([segment(0, 1n, 2n), segment(1, 3n, 4n)]);
  failures = 0;
  openSnapshots = 0;
  keptFiles = 0;
  scans = 0;
  readonly ahead: ColdAhead;
  readonly #recent = new RecentStretches();

  constructor() {
    this.ahead = this.reader();
  }

  /** Another reader of the same partition. */
  reader(): ColdAhead {
    const scan = async function* (world: World, manifest: Manifest, afterSeq: bigint): AsyncGenerator<readonly RowVersion[]> {
      for (const row of rowsOf(manifest, afterSeq)) {
        if (row.seq === 3n && world.failures-- > 0) throw new Error('the thread has ended');
        yield [row];
      }
    };
    const open = (): Snapshot => {
      this.openSnapshots += 1;
      const close = (): void => {
        this.openSnapshots -= 1;
      };
      return { manifest: () => this.manifest, close } as unknown as Snapshot;
    };
    const keepFiles = (): (() => void) => {
      this.keptFiles += 1;
      let isKept = true;
      return () => {
        if (isKept) this.keptFiles -= 1;
        isKept = false;
      };
    };
    const scanned = ({ manifest }: { readonly manifest: Manifest }, { afterSeq = 0n }: ColdScan): AsyncIterable<readonly RowVersion[]> => {
      this.scans += 1;
      return scan(this, manifest, afterSeq);
    };
    return new ColdAhead({
      reader: { scan: scanned },
      snapshots: { open, keepFiles },
      table: MANIFESTS,
      partition,
      recent: this.#recent,
    });
  }

  /** One slice: the `_seq`s of its rows, and what it returns. */
  slice(afterSeq: bigint, ahead: ColdAhead = this.ahead): { readonly seqs: readonly bigint[]; readonly end: bigint | undefined } {
    const view: PartitionView = { manifest: this.manifest, get: () => undefined, scan: () => [], scanBySeq: () => [] };
    const seqs: bigint[] = [];
    const rows = ahead.rows(view, afterSeq);
    for (let step = rows.next(); ; step = rows.next()) {
      if (step.done === true) return { seqs, end: step.value };
      seqs.push(step.value.seq);
    }
  }
}

it('rows that a slice has given are not given again when a segment behind them was merged meanwhile', async () => {
  const world = new World();
  await world.ahead.read(0n);
  world.manifest = manifestOf([segment(0, 1n, 2n), segment(2, 3n, 4n)]);
  expect(world.slice(0n)).toEqual({ seqs: [1n, 2n], end: 2n });
  await world.ahead.read(2n);
  expect(world.slice(2n)).toEqual({ seqs: [3n, 4n], end: undefined });
  world.ahead.close();
  expect([world.openSnapshots, world.keptFiles]).toEqual([0, 0]);
});

it('a failure is not taken for the end of the rows', async () => {
  const world = new World();
  world.failures = 1;
  await expect(world.ahead.read(0n)).rejects.toThrow('the thread has ended');
  expect(world.slice(0n)).toEqual({ seqs: [], end: 0n });
  await world.ahead.read(0n);
  expect(world.slice(0n)).toEqual({ seqs: [1n, 2n, 3n, 4n], end: undefined });
  world.ahead.close();
  expect([world.openSnapshots, world.keptFiles]).toEqual([0, 0]);
});

it('who goes on where another stopped searches no segment again, unless it was merged meanwhile', async () => {
  const world = new World();
  await world.ahead.read(0n);
  world.ahead.close();
  const second = world.reader();
  expect(second.read(1n)).toBeUndefined();
  expect(world.slice(1n, second)).toEqual({ seqs: [2n, 3n, 4n], end: undefined });
  second.close();
  expect(world.scans).toBe(1);
  world.manifest = manifestOf([segment(2, 1n, 4n)]);
  const third = world.reader();
  expect(third.read(1n)).toBeUndefined();
  expect(world.slice(1n, third)).toEqual({ seqs: [], end: 1n });
  await third.read(1n);
  expect(world.slice(1n, third)).toEqual({ seqs: [2n, 3n, 4n], end: undefined });
  third.close();
  expect([world.scans, world.openSnapshots, world.keptFiles]).toEqual([2, 0, 0]);
});

import { encodeKeyCells, plainType, rowCodec, SnowflakeSequence } from '@kalamdb/protocol';
import {
  type HotStore,
  type MemoryLogImage,
  memoryLogImage,
  openMemoryLog,
  openMemoryStore,
  type PartitionId,
  type RowKey,
} from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import type { RowChange } from '../contract.ts';
import type { RowLayout } from '../partition/row-layout.ts';
import type { Draft } from './draft.ts';
import { HeldLog } from './held-log.fixture.ts';
import { SeqReservation } from './seq-reservation.ts';
import { Sequencer } from './sequencer.ts';

const KEY_TYPES = [plainType('int')];

function layout(id: number, kind: RowLayout['kind']): RowLayout {
  return {
    id,
    kind,
    options: { ttlSeconds: kind === 'stream' ? 60 : undefined, maxBuffer: undefined },
    sinceSeq: 0n,
    codec: rowCodec(1, [
      { id: 1, type: plainType('int') },
      { id: 2, type: plainType('text') },
    ]),
    keyOf: (cells) => encodeKeyCells([Number(cells[0])], KEY_TYPES) as RowKey,
  };
}

export const TABLE: RowLayout = layout(1000, 'shared');
export const STREAM: RowLayout = layout(1001, 'stream');
export const SHARED: PartitionId = { tableId: TABLE.id, owner: '' };
export const EVENTS: PartitionId = { tableId: STREAM.id, owner: '' };
export const keyOf = (id: number): RowKey => TABLE.keyOf([id, null], 0n);

/** A sequencer over real memory stores, in virtual time. */
export interface World {
  readonly time: VirtualTime;
  readonly log: HeldLog;
  readonly hot: HotStore;
  readonly sequencer: Sequencer;
  readonly warnings: string[];
}

/** What outlives a sequencer. */
export interface Stored {
  readonly image: MemoryLogImage;
  readonly hot: HotStore;
}

const random = new SeededRandom(1);

export function stored(): Stored {
  return { image: memoryLogImage(random), hot: openMemoryStore() };
}

/** Opens it as a database does, the stored reservation included. */
export function open({ image, hot }: Stored, time: VirtualTime = new VirtualTime()): World {
  const log = new HeldLog(openMemoryLog({ random, startSeq: hot.appliedSeq, image }));
  const snapshot = hot.snapshot();
  const { reservation, startAt } = SeqReservation.load(snapshot);
  snapshot.close();
  const last = [log.lastSeq, hot.appliedSeq, startAt].reduce((a, b) => (a > b ? a : b));
  const warnings: string[] = [];
  const sequencer = new Sequencer({
    log,
    hot,
    sequence: new SnowflakeSequence({ clock: time, node: 1, last }),
    durability: 'relaxed',
    clock: time,
    timers: time,
    reservation,
    warn: (text) => warnings.push(text),
  });
  return { time, log, hot, sequencer, warnings };
}

/** `hot` with some of its methods replaced. */
export function withHot(hot: HotStore, replaced: Partial<Pick<HotStore, 'apply' | 'purge' | 'close'>>): HotStore {
  return {
    get appliedSeq() {
      return hot.appliedSeq;
    },
    snapshot: () => hot.snapshot(),
    apply: (entries) => hot.apply(entries),
    purge: (tableId, rowsMax) => hot.purge(tableId, rowsMax),
    purgeFlushed: (flushed, rowsMax) => hot.purgeFlushed(flushed, rowsMax),
    purgeTombstones: (expired) => hot.purgeTombstones(expired),
    load: (payload) => hot.load(payload),
    close: () => hot.close(),
    ...replaced,
  };
}

export const put =
  (id: number, text: string): ((draft: Draft) => RowChange) =>
  (draft) =>
    draft.put(TABLE, SHARED, { cells: [id, text] });

export function rowsSeen(sequencer: Sequencer): (readonly [unknown, unknown])[] {
  return sequencer.snapshots.read((snapshot) =>
    [...snapshot.view(TABLE, SHARED).scan()].filter(({ deleted }) => !deleted).map(({ cells }) => [cells[0], cells[1]] as const),
  );
}

/** Lets every promise that can go on do so. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

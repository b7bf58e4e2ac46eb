import { type Clock, type Random, SnowflakeSequence, type Timers } from '@kalamdb/protocol';
import { type HotStore, type MemoryLogImage, memoryLogImage, openMemoryLog, openMemoryStore } from '@kalamdb/storage';
import { LatchTable } from '../sequencer/latch-table.ts';
import { SeqReservation } from '../sequencer/seq-reservation.ts';
import { Sequencer } from '../sequencer/sequencer.ts';
import { bootstrapCatalog } from './bootstrap.ts';
import { Catalog } from './catalog.ts';
import type { SystemWriter } from './system-tables/repository.ts';

/** A catalog on a real sequencer over memory stores. */
export interface CatalogWorld {
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  readonly catalog: Catalog;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
  /** Closes it and opens what it left behind. */
  reopen(): Promise<CatalogWorld>;
}

/** What a test passes in. */
export interface CatalogEnvironment {
  readonly time: Clock & Timers;
  readonly random: Random;
}

/** Opens a fresh database with its bootstrap done. */
export async function openCatalog(environment: CatalogEnvironment): Promise<CatalogWorld> {
  const world = openWorld(memoryLogImage(environment.random), openMemoryStore(), environment);
  await world.commit((writer) => bootstrapCatalog(writer, { rootPasswordHash: '', storageDirectory: './data/storage' }));
  return world;
}

function openWorld(image: MemoryLogImage, hot: HotStore, environment: CatalogEnvironment): CatalogWorld {
  const { time, random } = environment;
  const log = openMemoryLog({ random, startSeq: hot.appliedSeq, image });
  const last = log.lastSeq > hot.appliedSeq ? log.lastSeq : hot.appliedSeq;
  const sequencer = new Sequencer({
    log,
    hot,
    sequence: new SnowflakeSequence({ clock: time, node: 1, last }),
    durability: 'relaxed',
    clock: time,
    timers: time,
    reservation: new SeqReservation(0n),
    warn: (text, detail) => {
      throw new Error(text, { cause: detail });
    },
  });
  const catalog = new Catalog();
  sequencer.snapshots.read((snapshot) => catalog.load((table) => snapshot.view(table, table.partitionFor('')).scan()));
  sequencer.observe((change) => catalog.observe(change));
  return {
    sequencer,
    latches: new LatchTable(),
    catalog,
    commit: (turn) => sequencer.submit(turn, { alone: true }),
    reopen: async () => {
      await sequencer.flush();
      return openWorld(image, hot, environment);
    },
  };
}

import { deserialize, serialize } from 'node:v8';
import { kalamError } from '@kalamdb/protocol';
import type { BloomCache, LocalFile, Manifest, RowKey, Segment, SegmentFilter } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { ColdRows } from '../partition/cold-rows.ts';
import type { Slices } from '../slices/slices.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { StoragePlace, StorageRegistry } from '../stores/storage-registry.ts';
import { receivedRow, type SentLookup, type SentRow, type SentSegment, type SentTable } from './cold-messages.ts';
import type { ColdLookup, ColdPlace, ColdReader, ColdScan } from './cold-reader.ts';
import type { ColdThread } from './cold-thread.ts';
import type { Manifests } from './manifests.ts';
import { readFilter } from './read-filter.ts';
import { inPieces, scanGroups } from './segment-groups.ts';

/** Keys times segments that are asked of the bloom filters without leaving the turn of the event loop. */
const PROBES_AT_ONCE_MAX = 2000;

/** What {@link Segments} works with. */
export interface SegmentSources {
  readonly manifests: Manifests;
  readonly stores: StorageRegistry;
  readonly blooms: BloomCache;
  readonly thread: ColdThread;
  readonly slices: Slices;
}

/** What reading segments has come to, for tests and metrics. */
export interface SegmentCounts {
  /** Keys that no segment could hold, by ranges and filters. */
  spared: number;
  /** Keys that were looked up in a segment. */
  lookedUp: number;
  /** Of these look-ups those that found a row. */
  found: number;
  /** Segments that scans considered, and read. */
  considered: number;
  read: number;
}

/** Keys to be looked up, by segment. */
type Wanted = Map<Segment, RowKey[]>;

/** Reads segments: decides which ones may hold what is wanted, and has the cold thread read those. */
export class Segments implements ColdReader {
  readonly counts: SegmentCounts = { spared: 0, lookedUp: 0, found: 0, considered: 0, read: 0 };
  readonly #sources: SegmentSources;
  readonly #tables = new WeakMap<Table, SentTable>();

  constructor(sources: SegmentSources) {
    this.#sources = sources;
  }

  lookUp(place: ColdPlace, lookup: ColdLookup, into: ColdRows): undefined | Promise<void> {
    const { manifest } = place;
    const filters = this.#filtersHere(manifest);
    const keys = [...lookup.keys];
    if (filters !== undefined && keys.length * manifest.segments.length <= PROBES_AT_ONCE_MAX) {
      const wanted: Wanted = new Map();
      for (const key of keys) this.#probe({ manifest, filters, lookup, into, wanted }, key);
      return wanted.size === 0 ? undefined : this.#readKeys(place, wanted, into);
    }
    return this.#lookUpLater(place, { ...lookup, keys }, into);
  }

  async *scan(place: ColdPlace, scan: ColdScan): AsyncGenerator<readonly RowVersion[], void> {
    const { segments } = place.manifest;
    const due = segments.filter((segment) => mayConcern(segment, scan));
    this.counts.considered += segments.length;
    this.counts.read += due.length;
    for (const group of scanGroups(due, scan.order)) yield* this.#scanTogether(place, group, scan);
  }

  /** Scans segments whose files are all open meanwhile. */
  async *#scanTogether(place: ColdPlace, segments: readonly Segment[], scan: ColdScan): AsyncGenerator<readonly RowVersion[], void> {
    const files = await this.openFiles(place.manifest, segments);
    try {
      const sent = segments.map((segment, index) => sentSegment(segment, files[index]));
      for await (const pieces of this.#sources.thread.scan(this.sentTable(place.table), sent, scan)) {
        for (const piece of pieces) {
          const rows = unmasked(piece, place.manifest);
          if (rows.length > 0) yield rows;
        }
      }
    } finally {
      for (const { close } of files) close();
    }
  }

  /** The table for the cold thread, made once. */
  sentTable(table: Table): SentTable {
    let sent = this.#tables.get(table);
    if (sent === undefined) {
      sent = { id: table.id, version: table.version, spec: new Uint8Array(serialize(table.spec)) };
      this.#tables.set(table, sent);
    }
    return sent;
  }

  async mayHold(manifest: Manifest, segments: readonly Segment[], keys: readonly RowKey[]): Promise<readonly Segment[]> {
    const found: Segment[] = [];
    for (const segment of segments) {
      const within = keys.filter((key) => isWithin(segment, key));
      if (within.length === 0) continue;
      const filter = await this.#filter(manifest, segment);
      if (within.some((key) => filter.mayHold(key))) found.push(segment);
    }
    return found;
  }

  /** One filter after another, so that no more of them are in memory than their bound allows. */
  async #lookUpLater(place: ColdPlace, lookup: ColdLookup & { readonly keys: readonly RowKey[] }, into: ColdRows): Promise<void> {
    const { manifest } = place;
    const { slices } = this.#sources;
    const wanted: Wanted = new Map();
    const asked: Asked = new Map();
    for (const segment of manifest.segments) {
      const within = await slices.runFirst(keysWithin(segment, lookup.keys));
      if (within.length === 0) continue;
      const filter = await this.#filter(manifest, segment);
      const keys = await slices.runFirst(keysToRead(within, { filter, lookup, asked }));
      this.counts.lookedUp += keys.length;
      if (keys.length > 0) wanted.set(segment, keys);
    }
    this.counts.spared += await slices.runFirst(unheld(lookup.keys, asked, into));
    if (wanted.size > 0) await this.#readKeys(place, wanted, into);
  }

  #probe({ manifest, filters, lookup, into, wanted }: Probe, key: RowKey): void {
    let asked = false;
    for (const [index, segment] of manifest.segments.entries()) {
      if (!isWithin(segment, key) || filters[index]?.mayHold(key) === false) continue;
      if (!asked && lookup.skip(key)) return;
      asked = true;
      const keys = wanted.get(segment);
      if (keys === undefined) wanted.set(segment, [key]);
      else keys.push(key);
      this.counts.lookedUp += 1;
    }
    into.set(key, undefined);
    if (!asked) this.counts.spared += 1;
  }

  async #readKeys(place: ColdPlace, wanted: Wanted, into: ColdRows): Promise<void> {
    for (const piece of inPieces([...wanted])) await this.#readTogether(place, piece, into);
  }

  async #readTogether({ table, manifest }: ColdPlace, wanted: readonly (readonly [Segment, RowKey[]])[], into: ColdRows): Promise<void> {
    const files = await this.openFiles(
      manifest,
      wanted.map(([segment]) => segment),
    );
    try {
      const sent = wanted.map(([segment, keys], index): SentLookup => ({ ...sentSegment(segment, files[index]), keys }));
      for (const piece of await this.#sources.thread.lookUp(this.sentTable(table), sent)) {
        for (const row of unmasked(piece, manifest)) {
          into.set(row.key, row);
          this.counts.found += 1;
        }
      }
    } finally {
      for (const { close } of files) close();
    }
  }

  #placeOf(manifest: Manifest): StoragePlace {
    return this.#sources.manifests.placeOf(manifest);
  }

  /** The filters of all segments, in their order; `undefined` when one is not in memory. */
  #filtersHere(manifest: Manifest): readonly SegmentFilter[] | undefined {
    const filters: SegmentFilter[] = [];
    const place = this.#placeOf(manifest);
    for (const segment of manifest.segments) {
      const filter = this.#sources.blooms.peek(filterName(place, segment));
      if (filter === undefined) return undefined;
      filters.push(filter);
    }
    return filters;
  }

  async #filter(manifest: Manifest, segment: Segment): Promise<SegmentFilter> {
    const place = this.#placeOf(manifest);
    const { blooms, stores } = this.#sources;
    return blooms.get(filterName(place, segment), async () => readFilter(await stores.store(place.storageId), place, segment));
  }

  /** Opens the files of segments of a manifest; all of them or none. Who calls closes them. */
  async openFiles(manifest: Manifest, segments: readonly Segment[]): Promise<readonly OpenFile[]> {
    const place = this.#placeOf(manifest);
    const opening = segments.map((segment) => this.#openFile(place.storageId, place.folder + segment.path, segment));
    const opened = await Promise.allSettled(opening);
    const files = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed === undefined) return files;
    for (const { close } of files) close();
    throw failed.reason;
  }

  async #openFile(storageId: string, key: string, segment: Segment): Promise<OpenFile> {
    const { path, close } = await this.#sources.stores.openSegment({ storageId, key }, segment);
    // A store on this machine has the object under its key; a copy lies in the cache's folder.
    const root = path.endsWith(`/${key}`) ? path.slice(0, -key.length - 1) : path.slice(0, path.lastIndexOf('/'));
    return { path, root, close };
  }
}

/** The file of a segment, held. */
export interface OpenFile extends LocalFile {
  /** A folder above it. */
  readonly root: string;
}

interface Probe {
  readonly manifest: Manifest;
  readonly filters: readonly SegmentFilter[];
  readonly lookup: ColdLookup;
  readonly into: ColdRows;
  readonly wanted: Wanted;
}

/** The name of a filter in memory, which no other filter ever has. */
export function filterName({ storageId, folder }: StoragePlace, { bloom }: Pick<Segment, 'bloom'>): string {
  return `${storageId}\n${folder}${bloom.path}\n${bloom.checksum}`;
}

/** Of keys that a filter did not rule out: whether segments are asked for them. */
type Asked = Map<RowKey, boolean>;

function isWithin({ minKey, maxKey }: Segment, key: RowKey): boolean {
  return key >= minKey && key <= maxKey;
}

function* keysWithin(segment: Segment, keys: readonly RowKey[]): Steps<readonly RowKey[]> {
  const within: RowKey[] = [];
  for (const [index, key] of keys.entries()) {
    if (isWithin(segment, key)) within.push(key);
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
  return within;
}

interface Asking {
  readonly filter: SegmentFilter;
  readonly lookup: ColdLookup;
  readonly asked: Asked;
}

function* keysToRead(keys: readonly RowKey[], { filter, lookup, asked }: Asking): Steps<RowKey[]> {
  const wanted: RowKey[] = [];
  for (const [index, key] of keys.entries()) {
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
    if (!filter.mayHold(key)) continue;
    const isAsked = asked.get(key) ?? !lookup.skip(key);
    asked.set(key, isAsked);
    if (isAsked) wanted.push(key);
  }
  return wanted;
}

/** Notes that there is nothing under the keys until something is found; answers how many of them no segment is asked for. */
function* unheld(keys: readonly RowKey[], asked: Asked, into: ColdRows): Steps<number> {
  let spared = 0;
  for (const [index, key] of keys.entries()) {
    const isAsked = asked.get(key);
    if (isAsked !== false) into.set(key, undefined);
    if (isAsked === undefined) spared += 1;
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
  return spared;
}

function mayConcern({ minKey, maxKey, minSeq, maxSeq }: Segment, { keys, afterSeq, throughSeq }: ColdScan): boolean {
  if (keys?.from !== undefined && maxKey < keys.from) return false;
  if (keys?.before !== undefined && minKey >= keys.before) return false;
  if (afterSeq !== undefined && maxSeq <= afterSeq) return false;
  return throughSeq === undefined || minSeq <= throughSeq;
}

/** A segment for the cold thread. */
export function sentSegment(
  { stats: _stats, masked: _masked, maskedTombstones: _count, ...segment }: Segment,
  file: OpenFile | undefined,
): SentSegment {
  if (file === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a segment without its file' });
  return { segment, path: file.path, root: file.root };
}

function unmasked(piece: Uint8Array, manifest: Manifest): RowVersion[] {
  const rows: RowVersion[] = [];
  let segment: Segment | undefined;
  for (const sent of deserialize(piece) as SentRow[]) {
    const row = receivedRow(sent);
    const { masks } = row;
    if (segment?.number !== masks.segment) segment = manifest.segments.find(({ number }) => number === masks.segment);
    if (segment?.masked.has(masks.row) === false) rows.push(row);
  }
  return rows;
}

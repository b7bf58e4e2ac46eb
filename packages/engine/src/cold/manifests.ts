import { kalamError, type Row } from '@kalamdb/protocol';
import { decodeManifest, type Manifest, type PartitionId, type RowKey } from '@kalamdb/storage';
import { MANIFESTS, type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { ChangeSet, RowVersion } from '../contract.ts';
import type { ManifestSource } from '../partition/manifest-source.ts';
import type { RowLayout } from '../partition/row-layout.ts';
import type { StoragePlace } from '../stores/storage-registry.ts';

/** Characters of the manifests whose parsed forms are kept; of partitions that nobody has read for longest they are parsed again. */
const PARSED_CHARS_MAX: number = 64 * 1024 * 1024;

/** Characters of a manifest up to which it is parsed by the first who reads it: that takes a millisecond or two. */
const PARSED_LATER_CHARS_MAX: number = 128 * 1024;

interface Known {
  readonly key: RowKey;
  /** The manifest that was read last, by the `_seq` of its row: rows that are decoded again need not be parsed again. */
  last: { readonly seq: bigint; readonly manifest: Manifest | undefined } | undefined;
  /** The one that was written last, which need not be parsed. */
  written: WrittenManifest | undefined;
}

/** A manifest and its text. */
export interface WrittenManifest {
  readonly text: string;
  readonly manifest: Manifest;
}

const NONE: readonly PartitionId[] = [];

/**
 * Which partitions have manifests: a fold over the rows of MANIFESTS, loaded at opening and moved by every commit. What a manifest
 * says is read from its row, by each reader at its own watermark.
 */
export class Manifests implements ManifestSource {
  readonly layout: RowLayout = MANIFESTS;
  readonly partition: PartitionId = manifestRepository.partition;
  readonly #known = new Map<number, Map<string, Known>>();
  readonly #parsed = new WeakMap<Row, Manifest>();
  readonly #places = new WeakMap<Manifest, StoragePlace>();
  readonly #charsMax: number;
  /** Whose manifests are kept and the characters of each, those read longest ago first. */
  readonly #kept = new Map<Known, number>();
  #keptChars = 0;

  constructor(charsMax: number = PARSED_CHARS_MAX) {
    this.#charsMax = charsMax;
  }

  /** Characters of the manifests whose parsed forms are kept. */
  get keptChars(): number {
    return this.#keptChars;
  }

  /** Reads what there is at opening. Large manifests are parsed here already: the first who reads one would do so in one turn. */
  load(rows: Iterable<RowVersion>): void {
    for (const row of rows) {
      if (row.deleted) continue;
      this.expect(partitionOf(row));
      const { text } = manifestRepository.read(row);
      if (text.length > PARSED_LATER_CHARS_MAX && this.#keptChars + text.length <= this.#charsMax) this.read(row);
    }
  }

  /** Takes in a commit; answers the partitions whose manifests it has changed. */
  observe(change: ChangeSet): readonly PartitionId[] {
    let changed: PartitionId[] | undefined;
    for (const { partition, rows } of change.parts) {
      if (partition.tableId !== MANIFESTS.id) continue;
      for (const row of rows) {
        const of = partitionOf(row);
        changed ??= [];
        changed.push(of);
        if (row.deleted) this.#forget(of);
        else this.expect(of);
      }
    }
    return changed ?? NONE;
  }

  /** A manifest may be written in the next turn: whoever takes a turn after it must look. */
  expect(partition: PartitionId): void {
    const { tableId, owner } = partition;
    let owners = this.#known.get(tableId);
    if (owners === undefined) {
      owners = new Map();
      this.#known.set(tableId, owners);
    }
    if (!owners.has(owner)) owners.set(owner, { key: MANIFESTS.encodeKey([BigInt(tableId), owner]), last: undefined, written: undefined });
  }

  /** A manifest is being written: whoever reads its row need not parse it. */
  written({ tableId, owner }: PartitionId, written: WrittenManifest): void {
    const known = this.#known.get(tableId)?.get(owner);
    if (known === undefined) return;
    known.written = written;
    this.#keep(known, written.text.length);
  }

  mayHave({ tableId, owner }: PartitionId): boolean {
    return this.#known.get(tableId)?.has(owner) === true;
  }

  /** Whether a partition of the table may have a manifest. */
  mayHaveAny(tableId: number): boolean {
    return this.#known.has(tableId);
  }

  /** The owners of partitions of a table that may have a manifest. */
  owners(tableId: number): readonly string[] {
    return [...(this.#known.get(tableId)?.keys() ?? [])];
  }

  /** All partitions that may have a manifest. */
  *partitions(): IterableIterator<PartitionId> {
    for (const [tableId, owners] of this.#known) for (const owner of owners.keys()) yield { tableId, owner };
  }

  keyOf({ tableId, owner }: PartitionId): RowKey {
    return this.#known.get(tableId)?.get(owner)?.key ?? MANIFESTS.encodeKey([BigInt(tableId), owner]);
  }

  read(row: RowVersion): Manifest | undefined {
    if (row.deleted) return undefined;
    const parsed = this.#parsed.get(row.cells);
    if (parsed !== undefined) return parsed;
    const record = manifestRepository.read(row);
    const known = this.#known.get(record.tableId)?.get(record.owner);
    if (known?.last?.seq === row.seq) {
      this.#keep(known, record.text.length);
      return known.last.manifest;
    }
    const manifest = known?.written?.text === record.text ? known.written.manifest : decoded(record);
    if (manifest === undefined) return undefined;
    this.#places.set(manifest, record);
    this.#parsed.set(row.cells, manifest);
    if (known !== undefined) {
      known.last = { seq: row.seq, manifest };
      this.#keep(known, record.text.length);
    }
    return manifest;
  }

  /** Where the objects of a manifest are that was read here. */
  placeOf(manifest: Manifest): StoragePlace {
    const place = this.#places.get(manifest);
    if (place === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a manifest that no row holds' });
    return place;
  }

  /** The row of a manifest, as its snapshot or turn sees it. */
  record(row: RowVersion | undefined): ManifestRecord | undefined {
    return row === undefined || row.deleted ? undefined : manifestRepository.read(row);
  }

  /** Notes that a manifest was used, and lets those go that were not for longest. */
  #keep(known: Known, chars: number): void {
    this.#letGo(known);
    this.#kept.set(known, chars);
    this.#keptChars += chars;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptChars <= this.#charsMax || oldest === known) return;
      this.#letGo(oldest);
      oldest.last = undefined;
      oldest.written = undefined;
    }
  }

  #letGo(known: Known): void {
    this.#keptChars -= this.#kept.get(known) ?? 0;
    this.#kept.delete(known);
  }

  #forget({ tableId, owner }: PartitionId): void {
    const owners = this.#known.get(tableId);
    const known = owners?.get(owner);
    if (known !== undefined) this.#letGo(known);
    owners?.delete(owner);
    if (owners?.size === 0) this.#known.delete(tableId);
  }
}

function partitionOf(row: RowVersion): PartitionId {
  const { tableId, owner } = manifestRepository.read(row);
  return { tableId, owner };
}

/** `undefined` as long as no segment was ever published. */
function decoded({ tableId, owner, text }: ManifestRecord): Manifest | undefined {
  const manifest = decodeManifest(text, `the manifest of table ${tableId}, owner '${owner}'`);
  return manifest.segments.length === 0 && manifest.flushedSeq === 0n ? undefined : manifest;
}

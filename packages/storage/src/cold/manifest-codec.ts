import { Buffer } from 'node:buffer';
import { type JsonObject, type JsonValue, kalamError } from '@kalamdb/protocol';
import type { RowKey } from '../contract.ts';
import type { ColumnStats, Manifest, Segment } from './contract.ts';
import { FieldReader } from './manifest-fields.ts';
import { decodePositions, encodePositions } from './row-positions.ts';

const FORMAT = 1;

/** The manifest of a partition that was never flushed. */
export const emptyManifest: Manifest = { version: 0, flushedSeq: 0n, expiredSeq: 0n, nextNumber: 0, segments: [] };

/**
 * A manifest as JSON text: the members of {@link Manifest} and {@link Segment}, `format` (1) first. `_seq`s are decimal texts, keys the base64 of
 * their bytes, statistics members named by the column's id, masked rows what `encodePositions` makes.
 */
export function encodeManifest(manifest: Manifest): string {
  const { version, flushedSeq, expiredSeq, nextNumber, segments } = manifest;
  const head = { format: FORMAT, version, flushedSeq: String(flushedSeq), expiredSeq: String(expiredSeq), nextNumber };
  return `${JSON.stringify(head).slice(0, -1)},"segments":[${segments.map(encodeSegment).join(',')}]}`;
}

/** What {@link encodeManifest} says of a segment: made once, as most segments of a manifest are those of the one before. */
export function encodeSegment(segment: Segment): string {
  let text = texts.get(segment);
  if (text === undefined) {
    text = JSON.stringify(segmentJson(segment));
    texts.set(segment, text);
  }
  return text;
}

const texts = new WeakMap<Segment, string>();

/** The manifest of a text that {@link encodeManifest} made. Throws DAMAGED_DATA naming `where` and what is wrong there. */
export function decodeManifest(text: string, where: string): Manifest {
  const fields = new FieldReader(parsed(text, where), where);
  const format = fields.count('format');
  if (format !== FORMAT) throw fields.damage('format', `is ${format}; this release knows ${FORMAT}`);
  const manifest: Manifest = {
    version: fields.count('version'),
    flushedSeq: fields.seq('flushedSeq'),
    expiredSeq: fields.seq('expiredSeq'),
    nextNumber: fields.count('nextNumber'),
    segments: fields.list('segments').map((value, index) => segmentOf(value, `${where}, segment ${index}`)),
  };
  fields.end();
  checkOrder(manifest, where);
  return manifest;
}

function parsed(text: string, where: string): JsonValue {
  try {
    // No number in it needs more than a double.
    return JSON.parse(text);
  } catch (cause) {
    throw kalamError('DAMAGED_DATA', { where, reason: 'it is no JSON' }, { cause });
  }
}

function segmentJson(segment: Segment): JsonObject {
  const { minSeq, maxSeq, minKey, maxKey, stats, masked, bloom, ...plain } = segment;
  return {
    ...plain,
    minSeq: String(minSeq),
    maxSeq: String(maxSeq),
    minKey: Buffer.from(minKey, 'latin1').toString('base64'),
    maxKey: Buffer.from(maxKey, 'latin1').toString('base64'),
    stats: Object.fromEntries(Array.from(stats, ([id, column]) => [String(id), { ...column } as JsonObject])),
    bloom: { ...bloom },
    masked: encodePositions(masked),
  };
}

function segmentOf(value: JsonValue, where: string): Segment {
  const fields = new FieldReader(value, where);
  const rows = fields.count('rows');
  const bloom = new FieldReader(fields.value('bloom'), `${where}, bloom`);
  const segment: Segment = {
    number: fields.count('number'),
    path: fields.objectName('path'),
    schemaVersion: fields.count('schemaVersion'),
    rows,
    tombstones: fields.count('tombstones'),
    bytes: fields.count('bytes'),
    memoryBytes: fields.count('memoryBytes'),
    checksum: fields.count('checksum'),
    minSeq: fields.seq('minSeq'),
    maxSeq: fields.seq('maxSeq'),
    minKey: keyOf(fields, 'minKey'),
    maxKey: keyOf(fields, 'maxKey'),
    createdAtMillis: fields.count('createdAtMillis'),
    stats: statsOf(fields.value('stats'), where),
    bloom: { path: bloom.objectName('path'), bytes: bloom.count('bytes'), checksum: bloom.count('checksum') },
    masked: decodePositions(fields.text('masked'), rows, where),
    maskedTombstones: fields.count('maskedTombstones'),
  };
  bloom.end();
  fields.end();
  const { tombstones, masked, maskedTombstones } = segment;
  if (tombstones > rows || maskedTombstones > Math.min(tombstones, masked.size))
    throw fields.damage('tombstones', 'are more than there can be');
  if (segment.minSeq > segment.maxSeq || segment.minKey > segment.maxKey) throw fields.damage('minSeq or minKey', 'is above its maximum');
  return segment;
}

function keyOf(fields: FieldReader, name: string): RowKey {
  const text = fields.text(name);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw fields.damage(name, 'is no base64');
  return bytes.toString('latin1') as RowKey;
}

function statsOf(value: JsonValue, where: string): ReadonlyMap<number, ColumnStats> {
  const columns = new FieldReader(value, `${where}, stats`);
  const stats = new Map<number, ColumnStats>();
  for (const name of columns.names) {
    const id = Number(name);
    if (!Number.isInteger(id) || String(id) !== name) throw columns.damage(name, 'is no column id');
    const fields = new FieldReader(columns.value(name), `${where}, stats of column ${name}`);
    const bounds = { ...fields.optional('min'), ...fields.optional('max') };
    stats.set(id, { ...bounds, nulls: fields.count('nulls') });
    fields.end();
  }
  return stats;
}

/** What the readers of manifests rely on. */
function checkOrder({ segments, nextNumber }: Manifest, where: string): void {
  const damaged = (reason: string): Error => kalamError('DAMAGED_DATA', { where, reason });
  const numbers = new Set<number>();
  let last: Segment | undefined;
  for (const segment of segments) {
    if (segment.number >= nextNumber || numbers.has(segment.number)) throw damaged(`segment number ${segment.number} is not its own`);
    if (last !== undefined && segment.minSeq <= last.maxSeq) throw damaged(`the segments ${last.number} and ${segment.number} overlap`);
    numbers.add(segment.number);
    last = segment;
  }
}

import { type JsonObject, type JsonValue, parseJson, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowKey } from '../contract.ts';
import type { Manifest, Segment } from './contract.ts';
import { decodeManifest, emptyManifest, encodeManifest } from './manifest-codec.ts';
import { publicManifest } from './public-manifest.ts';
import { rowPositions } from './row-positions.ts';

const anyKey = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 12 });
const anyName = fc.constantFrom('batch-0.parquet', 'batch-12.bloom', 'a/b-1.x', '_x');
const count = fc.nat(2 ** 31 - 1);
const anyStats = fc.record(
  { min: fc.oneof(fc.string(), fc.boolean(), fc.integer()), max: fc.oneof(fc.string(), fc.integer()), nulls: count },
  { requiredKeys: ['nulls'] },
);

const anyManifest: fc.Arbitrary<Manifest> = fc
  .array(
    fc.record({
      path: anyName,
      schemaVersion: count,
      rows: fc.integer({ min: 100, max: 70_000 }),
      bytes: count,
      memoryBytes: count,
      checksum: fc.nat(0xffff_ffff),
      seqs: fc.integer({ min: 1, max: 1_000_000 }),
      keys: fc.tuple(anyKey, anyKey).map((keys) => keys.sort()),
      createdAtMillis: fc.nat(2 ** 45),
      stats: fc.array(fc.tuple(fc.nat(1_000), anyStats)),
      bloom: fc.record({ path: anyName, bytes: count, checksum: count }),
      masked: fc.array(fc.nat(99)),
    }),
    { maxLength: 4 },
  )
  .map((segments) => {
    let seq = 2n ** 62n;
    return {
      version: 7,
      flushedSeq: 2n ** 63n - 1n,
      expiredSeq: 12n,
      nextNumber: segments.length,
      segments: segments.map(({ keys, seqs, stats, masked, ...rest }, number): Segment => {
        const minSeq = seq;
        seq += BigInt(seqs) + 1n;
        const positions = rowPositions(masked);
        return {
          ...rest,
          number,
          tombstones: Math.min(3, positions.size),
          maskedTombstones: Math.min(2, positions.size),
          minSeq,
          maxSeq: seq - 1n,
          minKey: keys[0] as RowKey,
          maxKey: keys[1] as RowKey,
          stats: new Map(stats),
          masked: positions,
        };
      }),
    };
  });

const plain = ({ segments, ...rest }: Manifest): unknown => ({
  ...rest,
  segments: segments.map(({ masked, ...segment }) => ({ ...segment, masked: [...masked] })),
});

describe('the text of a manifest', () => {
  it('gives it back', () => {
    fc.assert(
      fc.property(anyManifest, (manifest) => {
        expect(plain(decodeManifest(encodeManifest(manifest), 'm'))).toEqual(plain(manifest));
      }),
    );
    expect(decodeManifest(encodeManifest(emptyManifest), 'm')).toEqual(emptyManifest);
  });

  it('is refused by name when any member is missing, added, or of another kind', () => {
    fc.assert(
      fc.property(anyManifest, (manifest) => {
        for (const [path, text] of altered(parseJson(encodeManifest(manifest)))) {
          try {
            decodeManifest(text, 'm');
            expect.fail(`${path} was taken`);
          } catch (error) {
            expect(error, path).toMatchObject({ code: 'DAMAGED_DATA' });
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('is refused when it is cut off, of another format, or its segments cannot be so', () => {
    const [first, second] =
      fc.sample(
        anyManifest.filter(({ segments }) => segments.length > 1),
        1,
      )[0]?.segments ?? [];
    const refused = (change: Partial<Manifest>): void => {
      expect(() => decodeManifest(encodeManifest({ ...emptyManifest, nextNumber: 9, ...change }), 'm')).toThrow(
        expect.objectContaining({ code: 'DAMAGED_DATA' }),
      );
    };
    if (first === undefined || second === undefined) throw new Error('two segments');
    refused({ segments: [second, first] });
    refused({ segments: [first, first] });
    refused({ segments: [first, { ...second, number: first.number }] });
    refused({ segments: [first], nextNumber: first.number });
    refused({ segments: [{ ...first, tombstones: first.rows + 1 }] });
    refused({ segments: [{ ...first, masked: rowPositions([first.rows]) }] });
    refused({ segments: [{ ...first, minSeq: first.maxSeq + 1n }] });
    for (const path of ['', '..', '../x', '/x', 'a//b', 'a/../b', 'a\\b', '.x', 'a/']) refused({ segments: [{ ...first, path }] });
    for (const text of ['', '{', '[]', 'null', '{"format":2}', encodeManifest(emptyManifest).slice(0, -1)]) {
      expect(() => decodeManifest(text, 'm')).toThrow(expect.objectContaining({ code: 'DAMAGED_DATA' }));
    }
  });
});

/** The texts of a JSON value with one member of it, at any depth but in statistics' bounds, missing, added, or of another kind. */
function* altered(value: JsonValue, path = '$', put: (value: JsonValue) => JsonValue = (same) => same): Generator<[string, string]> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* altered(item, `${path}[${index}]`, (other) => put(value.with(index, other)));
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const object = value as JsonObject;
  if (!path.endsWith('.stats')) yield [`${path}.x`, JSON.stringify(put({ ...object, x: 1 }))];
  for (const [name, member] of Object.entries(object)) {
    const at = `${path}.${name}`;
    if (/\.stats\.\d+\.m(in|ax)$/.test(at)) continue;
    const { [name]: _, ...rest } = object;
    if (!path.endsWith('.stats')) yield [`${at} missing`, JSON.stringify(put(rest))];
    for (const other of [null, -1, 1.5, 'é', true]) yield [`${at} = ${other}`, JSON.stringify(put({ ...object, [name]: other }))];
    yield* altered(member, at, (other) => put({ ...object, [name]: other }));
  }
}

it('users see it in the form that they know', () => {
  const segment: Segment = {
    number: 3,
    path: 'batch-3.parquet',
    schemaVersion: 2,
    rows: 10,
    tombstones: 1,
    bytes: 2_000,
    memoryBytes: 4_000,
    checksum: 5,
    minSeq: 9_007_199_254_740_993n,
    maxSeq: 9_007_199_254_740_995n,
    minKey: 'a' as RowKey,
    maxKey: 'b' as RowKey,
    createdAtMillis: 1_700_000_000_000,
    stats: new Map([
      [1, { min: '1000000', max: '2000000', nulls: 0 }],
      [2, { nulls: 10 }],
      [3, { min: 'x', max: 'y', nulls: 1 }],
    ]),
    bloom: { path: 'batch-3.bloom', bytes: 1, checksum: 1 },
    masked: rowPositions([1]),
    maskedTombstones: 0,
  };
  const manifest: Manifest = { version: 4, flushedSeq: 1n, expiredSeq: 0n, nextNumber: 4, segments: [segment] };
  const context = {
    tableId: 'app.notes',
    userId: 'al"ice',
    createdAtMillis: 1,
    updatedAtMillis: 2,
    keyColumns: [
      { id: 1, type: plainType('bigint') },
      { id: 2, type: plainType('int') },
    ],
  };
  const expected =
    '{"table_id":"app.notes","user_id":"al\\"ice","version":4,"created_at":1,"updated_at":2,"segments":[{"id":"batch-3.parquet","path":"batch-3.parquet",' +
    '"min_seq":9007199254740993,"max_seq":9007199254740995,"row_count":10,"size_bytes":2000,"created_at":1700000000000,' +
    '"column_stats":{"1":{"min":{"Int64":"1000000"},"max":{"Int64":"2000000"},"null_count":0},"2":{"min":null,"max":null,"null_count":10}},' +
    '"schema_version":2,"status":"committed"}],"last_sequence_number":3,"files":null,"vector_indexes":{}}';
  expect(publicManifest(manifest, context)).toBe(expected);
  expect(parseJson(publicManifest(emptyManifest, { ...context, userId: undefined }))).toMatchObject({
    user_id: null,
    segments: [],
    last_sequence_number: 0,
  });
});

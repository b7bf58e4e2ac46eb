import { readFile, writeFile } from 'node:fs/promises';
import { type DataType, plainType } from '@kalamdb/protocol';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemFiles } from '../files/file-system.ts';
import { decodeBloom } from './bloom-filter.ts';
import type { SegmentLayout } from './contract.ts';
import { checkSegmentFile } from './segment-check.ts';
import { rowsOf, SegmentWorld } from './segment-world.fake.ts';

let world: SegmentWorld;
beforeAll(async () => {
  world = await SegmentWorld.open();
});
afterAll(() => world.close());

const layoutOf = (...types: readonly DataType[]): SegmentLayout => ({
  schemaVersion: 1,
  keyIndexes: [0],
  columns: types.map((type, index) => ({ id: 100 + index, name: `${type.kind}_cell`, type })),
});

it('is Parquet that another reader reads: names, field ids, types, cells', async () => {
  const layout = layoutOf(
    plainType('bigint'),
    plainType('text'),
    plainType('boolean'),
    plainType('smallint'),
    plainType('int'),
    plainType('float'),
    plainType('double'),
    { kind: 'decimal', precision: 10, scale: 2 },
    plainType('timestamp'),
    plainType('datetime'),
    plainType('date'),
    plainType('time'),
    plainType('json'),
    plainType('bytes'),
    plainType('uuid'),
    plainType('file'),
    { kind: 'embedding', dimension: 3 },
  );
  const uuid = '018f4a3c-1b2d-7000-8000-00000000002a';
  const cells = [
    [
      2n ** 63n - 1n,
      'é\0😀',
      true,
      -32_768,
      2_147_483_647,
      1.5,
      -1e300,
      1230n,
      1_700_000_000_123_456n,
      -1000n,
      19_000,
      86_399_999_999,
      '{"a":1}',
      Uint8Array.of(0, 255),
      uuid,
      '{"id":"x"}',
      Float32Array.of(1, -2, 0.5),
    ],
    [-(2n ** 63n), ...new Array(16).fill(null)],
  ];
  const { segment, path } = await world.write(layout, rowsOf(layout, cells));
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const names = [...layout.columns.map(({ name }) => name), '_seq', '_created_seq', '_deleted'];
  const schema = parquetSchema(metadata).children.map(({ element }) => element);
  expect(schema.map(({ name }) => name)).toEqual(names);
  expect(schema.map(({ field_id }) => field_id)).toEqual([
    ...layout.columns.map(({ id }) => id),
    2_000_000_001,
    2_000_000_002,
    2_000_000_003,
  ]);
  expect(metadata.row_groups[0]?.columns.map((column) => column.meta_data?.codec)).toEqual(names.map(() => 'ZSTD'));
  expect(schema.map(({ type, logical_type: logical }) => logical?.type ?? type)).toMatchInlineSnapshot(`
    [
      "INT64",
      "BYTE_ARRAY",
      "BOOLEAN",
      "INT32",
      "INT32",
      "FLOAT",
      "DOUBLE",
      "DECIMAL",
      "TIMESTAMP",
      "TIMESTAMP",
      "INT32",
      "TIME",
      "BYTE_ARRAY",
      "BYTE_ARRAY",
      "UUID",
      "BYTE_ARRAY",
      undefined,
      "INT64",
      "INT64",
      "BOOLEAN",
    ]
  `);
  const rows = await parquetReadObjects({ file, metadata, compressors, utf8: false });
  expect(rows).toEqual([
    // A list that is NULL is `undefined` to this reader.
    {
      ...Object.fromEntries(names.map((name) => [name, null])),
      embedding_cell: undefined,
      bigint_cell: -(2n ** 63n),
      _seq: 1001n,
      _created_seq: 999n,
      _deleted: true,
    },
    {
      bigint_cell: 2n ** 63n - 1n,
      text_cell: 'é\0😀',
      boolean_cell: true,
      smallint_cell: -32_768,
      int_cell: 2_147_483_647,
      float_cell: 1.5,
      double_cell: -1e300,
      decimal_cell: 12.3,
      timestamp_cell: new Date(1_700_000_000_123),
      datetime_cell: new Date(-1),
      date_cell: new Date(19_000 * 86_400_000),
      time_cell: 86_399_999_999n,
      json_cell: '{"a":1}',
      bytes_cell: Uint8Array.of(0, 255),
      uuid_cell: uuid,
      file_cell: '{"id":"x"}',
      embedding_cell: [1, -2, 0.5],
      _seq: 1000n,
      _created_seq: 999n,
      _deleted: false,
    },
  ]);
  expect(segment.rows).toBe(2);
});

it('is sorted by key in row groups of 8,192 rows', async () => {
  const layout = layoutOf(plainType('int'));
  const { path } = await world.write(
    layout,
    rowsOf(
      layout,
      Array.from({ length: 20_000 }, (_, index) => [(index * 7919) % 20_000]),
    ),
  );
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  expect(metadata.row_groups.map(({ num_rows }) => num_rows)).toEqual([8192n, 8192n, 3616n]);
  const rows = await parquetReadObjects({ file, metadata, compressors, columns: ['int_cell'] });
  expect(rows.map((row) => row['int_cell'])).toEqual(rows.map((_, index) => index));
});

it('any byte that is flipped is found by its checksum; without that, reading ends with rows or with DAMAGED_DATA', async () => {
  const layout = layoutOf(plainType('bigint'), plainType('text'));
  const { segment, path, bloomPath } = await world.write(
    layout,
    rowsOf(
      layout,
      Array.from({ length: 12 }, (_, index) => [BigInt(index), index % 3 === 0 ? null : `name ${index}`]),
    ),
  );
  const good = await readFile(path);
  const damagedPath = `${path}.damaged`;
  const file = { path: damagedPath, close: () => undefined };
  let refusals = 0;
  for (let at = 0; at < good.length; at += 1) {
    const bytes = Uint8Array.from(good);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    await writeFile(damagedPath, bytes);
    const check = checkSegmentFile(systemFiles, damagedPath, { name: segment.path, expected: segment });
    await expect(check).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
    // Reading is slow beside summing up.
    if (at % 8 !== 3) continue;
    try {
      for await (const rows of world.reader.scan(file, segment, layout)) expect(rows.length).toBeLessThanOrEqual(segment.rows);
    } catch (error) {
      expect(error).toMatchObject({ code: 'DAMAGED_DATA' });
      refusals += 1;
    }
  }
  expect(refusals).toBeGreaterThan(good.length / 32);
  await checkSegmentFile(systemFiles, path, { name: segment.path, expected: segment });
  await checkSegmentFile(systemFiles, bloomPath, { name: segment.bloom.path, expected: segment.bloom });
});

it('a file that is cut off, missing, or of another table is DAMAGED_DATA', async () => {
  const layout = layoutOf(plainType('bigint'), plainType('text'));
  const { segment, path } = await world.write(layout, rowsOf(layout, [[1n, 'a']]));
  const good = await readFile(path);
  const cutPath = `${path}.cut`;
  const scan = async (at: string, as = layout): Promise<unknown> => {
    const rows: unknown[] = [];
    for await (const batch of world.reader.scan({ path: at, close: () => undefined }, segment, as)) rows.push(...batch);
    return rows;
  };
  for (const bytes of [0, 1, 8, good.length >> 1, good.length - 1]) {
    await writeFile(cutPath, good.subarray(0, bytes));
    await expect(scan(cutPath)).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
    await expect(checkSegmentFile(systemFiles, cutPath, { name: 'x', expected: segment })).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
  }
  await expect(scan(`${path}.missing`)).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
  await expect(scan(path, layoutOf(plainType('int'), plainType('text')))).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
  await expect(scan(path, layoutOf(plainType('bigint')))).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
});

it('any byte of a bloom filter that is flipped is found', async () => {
  const layout = layoutOf(plainType('bigint'));
  const { bloomPath } = await world.write(layout, rowsOf(layout, [[1n], [2n]]));
  const good = await readFile(bloomPath);
  for (let at = 0; at < good.length; at += 1) {
    const bytes = Uint8Array.from(good);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    expect(() => decodeBloom(bytes, 'a filter')).toThrow(expect.objectContaining({ code: 'DAMAGED_DATA' }));
    expect(() => decodeBloom(good.subarray(0, at), 'a filter')).toThrow(expect.objectContaining({ code: 'DAMAGED_DATA' }));
  }
});

export { BloomCache } from './cold/bloom-cache.ts';
export { decodeBloom, encodeBloom, SegmentFilter } from './cold/bloom-filter.ts';
export { type ColumnTest, statsExclude } from './cold/column-stats.ts';
export type {
  ColdPosition,
  ColdRow,
  ColumnStats,
  LocalFile,
  Manifest,
  RowPositions,
  Segment,
  SegmentColumn,
  SegmentLayout,
  SegmentRow,
  SegmentScan,
} from './cold/contract.ts';
export { decodeManifest, emptyManifest, encodeManifest, encodeSegment } from './cold/manifest-codec.ts';
export { PackedKeys, type PackedKeysImage } from './cold/packed-keys.ts';
export { mayHoldKeys, mayHoldRange } from './cold/pruning.ts';
export { type PublicManifestContext, publicManifest } from './cold/public-manifest.ts';
export { decodePositions, encodePositions, noRows, rowPositions, withRows } from './cold/row-positions.ts';
export { checkSegmentFile, type FileSum } from './cold/segment-check.ts';
export { SegmentReader, type SegmentReaderOptions } from './cold/segment-reader.ts';
export { type RelationColumn, type RelationRows, type RelationSegment, segmentRelation } from './cold/segment-relation.ts';
export { type SegmentTarget, SegmentWriter, segmentNames, segmentRowsMax, type WrittenSegment } from './cold/segment-writer.ts';
export { cellLiteral, nameLiteral, textLiteral } from './columns/cell-literal.ts';
export type { ColumnBuffer, VectorBindings } from './columns/column-buffer.ts';
export { ChunkAppender, type DuckDbModules, loadVectorBindings } from './columns/column-chunk.ts';
export { type DuckDb, type InstanceSettings, loadDuckDb, type OpenDuckDb, openInstance } from './columns/duckdb.ts';
export { type VectorCells, vectorCells } from './columns/vector-cells.ts';
export type {
  ColdMask,
  Commit,
  CommitLog,
  CommitPart,
  CommitRow,
  Durability,
  ExpiredTombstones,
  FlushedRows,
  HotSnapshot,
  HotStore,
  KeyRange,
  LogEntry,
  PartitionId,
  PurgedRows,
  RecordBlock,
  RowKey,
  StoredRow,
} from './contract.ts';
export { type DataDirectory, directoryFormat, openDataDirectory } from './files/data-directory.ts';
export { DirectoryLock } from './files/directory-lock.ts';
export {
  type FileSpace,
  type FileStat,
  type FileSystem,
  hasSystemCode,
  type OpenFile,
  type OpenMode,
  systemFiles,
} from './files/file-system.ts';
export { openedBy } from './files/opening-failure.ts';
export { openRestoreFolder, type RestoreFolder, takeOverRestored } from './files/restored-directory.ts';
export { publishFile } from './files/whole-file.ts';
export { CatchUp, catchUp } from './hot/catch-up.ts';
export { type HotReader, type HotReaderOptions, openLmdbReader } from './hot/lmdb-reader.ts';
export { type LmdbStore, type LmdbStoreOptions, openLmdbStore } from './hot/lmdb-store.ts';
export { openMemoryStore } from './hot/memory-store.ts';
export { ownerBytesMax, rowKeyBytesMax } from './hot/partition-key.ts';
export { checkStoreFile, type StoreCheck } from './hot/store-check.ts';
export { type FurtherCheck, type VerifiedPart, type VerifiedRow, verifyDirectory } from './hot/verify-directory.ts';
export { decodeCommit, encodeCommit, encodeCommitSteps, renumberCommitSteps } from './log/commit-codec.ts';
export { CommitPacker } from './log/commit-packer.ts';
export { type EmptyLog, makeEmptyLog } from './log/empty-log.ts';
export { type FileCommitLog, type FileLogOptions, openFileLog } from './log/file-log.ts';
export { entryBytesMax } from './log/log-entry.ts';
export { type MemoryLogImage, type MemoryLogOptions, memoryLogImage, openMemoryLog } from './log/memory-log.ts';
export {
  type ByteRange,
  type CallOptions,
  type GetOptions,
  type ListOptions,
  listAll,
  type ObjectPage,
  type ObjectSource,
  type ObjectStat,
  type ObjectStore,
  type PutOptions,
} from './objects/contract.ts';
export { bytesChecksum, type FileChecksum, fileChecksum } from './objects/file-checksum.ts';
export { type FilesystemStoreOptions, openFilesystemStore } from './objects/filesystem-store.ts';
export { type MemoryObjectStoreOptions, openMemoryObjectStore } from './objects/memory-object-store.ts';
export { checkObjectKey } from './objects/object-key.ts';
export type { Patience } from './objects/patience.ts';
export { readS3Settings, type S3Description, type S3Settings } from './objects/s3/s3-settings.ts';
export { openS3Store, type S3StoreOptions } from './objects/s3/s3-store.ts';
export { SegmentCache, type SegmentCacheFigures, type SegmentCacheOptions } from './objects/segment-cache.ts';
export { checkStorage, type StorageCheck, type StorageCheckOptions } from './objects/storage-check.ts';

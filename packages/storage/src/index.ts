export type {
  Commit,
  CommitLog,
  CommitPart,
  CommitRow,
  Durability,
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
export { type FileStat, type FileSystem, hasSystemCode, type OpenFile, type OpenMode, systemFiles } from './files/file-system.ts';
export { openedBy } from './files/opening-failure.ts';
export { publishFile } from './files/whole-file.ts';
export { catchUp } from './hot/catch-up.ts';
export { type HotReader, openLmdbReader } from './hot/lmdb-reader.ts';
export { type LmdbStore, type LmdbStoreOptions, openLmdbStore } from './hot/lmdb-store.ts';
export { openMemoryStore } from './hot/memory-store.ts';
export { ownerBytesMax, rowKeyBytesMax } from './hot/partition-key.ts';
export { checkStoreFile, type StoreCheck } from './hot/store-check.ts';
export { type VerifiedPart, verifyDirectory } from './hot/verify-directory.ts';
export { decodeCommit, encodeCommit, encodeCommitSteps, renumberCommitSteps } from './log/commit-codec.ts';
export { type FileCommitLog, type FileLogOptions, openFileLog } from './log/file-log.ts';
export { entryBytesMax } from './log/log-entry.ts';
export { type MemoryLogImage, type MemoryLogOptions, memoryLogImage, openMemoryLog } from './log/memory-log.ts';

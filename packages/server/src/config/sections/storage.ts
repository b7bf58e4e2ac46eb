/** Where the data is and when a write is acknowledged. */
export const STORAGE_SETTINGS = {
  'storage.data_path': {
    kind: 'text',
    default: './data',
    env: 'KALAMDB_DATA_DIR',
    flag: '--data <directory>',
    description: 'Directory that holds everything; it is made when missing. `:memory:` keeps all data in memory.',
  },
  'storage.durability': {
    kind: 'choice',
    default: 'sync',
    choices: ['sync', 'relaxed'],
    env: 'KALAMDB_STORAGE_DURABILITY',
    flag: '--durability <mode>',
    description: 'When a write is acknowledged. sync: on the disk. relaxed: with the operating system, synced within 200 ms.',
  },
  'storage.log_file_bytes': {
    kind: 'integer',
    default: 67_108_864,
    minimum: 32_768,
    maximum: 1_073_741_824,
    env: 'KALAMDB_STORAGE_LOG_FILE_BYTES',
    description: 'Size of each file of the commit log in bytes. Up to four of them lie on the disk even when there is little to keep.',
  },
  'storage.segment_cache_bytes': {
    kind: 'integer',
    default: 1_073_741_824,
    minimum: 16_777_216,
    maximum: 1_099_511_627_776,
    env: 'KALAMDB_STORAGE_SEGMENT_CACHE_BYTES',
    description:
      'Disk space in bytes for copies of cold files that lie in an object store. Copies are checked, kept over restarts, and the least recently used goes first.',
  },
} as const;

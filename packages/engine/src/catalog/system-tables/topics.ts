import type { Table } from '../table.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/** `system.topics` (catalog B5). */
export const TOPICS: Table = systemTable({
  id: 8,
  name: 'topics',
  comment: 'Topics',
  columns: [
    key('topic_id', 'text', 'namespace.name'),
    required('name', 'text', 'Name'),
    optional('alias', 'text', 'Second name'),
    required('partitions', 'int', 'Number of partitions'),
    optional('retention_seconds', 'bigint', 'How long messages are kept'),
    optional('retention_max_bytes', 'bigint', 'How much is kept'),
    required('routes', 'json', 'Sources of the topic'),
    timeOfWriting('created_at', 'When it was created'),
    timeOfWriting('updated_at', 'When it last changed'),
  ],
});

/** `system.topic_offsets` (catalog B5). */
export const TOPIC_OFFSETS: Table = systemTable({
  id: 9,
  name: 'topic_offsets',
  comment: 'How far consumer groups have come',
  columns: [
    key('topic_id', 'text', 'The topic'),
    key('group_id', 'text', 'The group'),
    key('partition_id', 'int', 'The partition'),
    required('last_acked_offset', 'bigint', 'Last acknowledged offset'),
    timeOfWriting('updated_at', 'When it last moved'),
  ],
});

import type { Table } from '../table.ts';
import { key, optional, required, systemTable } from './system-table.ts';

/** `system.audit_log` (catalog B5). */
export const AUDIT_LOG: Table = systemTable({
  id: 7,
  name: 'audit_log',
  comment: 'Who did what',
  columns: [
    key('audit_id', 'text', 'audit_<milliseconds>_<hex>'),
    required('timestamp', 'timestamp', 'When'),
    required('actor_user_id', 'text', 'Who'),
    required('action', 'text', 'What, e.g. CREATE_TABLE'),
    required('target', 'text', 'To what'),
    optional('details', 'text', 'Details without secrets'),
    optional('ip_address', 'text', 'From where'),
    optional('subject_user_id', 'text', 'On whose behalf'),
  ],
});

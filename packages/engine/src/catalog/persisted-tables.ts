import { API_TOKENS } from './system-tables/api-tokens.ts';
import { AUDIT_LOG } from './system-tables/audit-log.ts';
import { COUNTERS } from './system-tables/counters.ts';
import { DROPPED_TABLES } from './system-tables/dropped-tables.ts';
import { EXPIRATIONS } from './system-tables/expirations.ts';
import { JOB_NODES, JOBS } from './system-tables/jobs.ts';
import { MANIFESTS } from './system-tables/manifests.ts';
import { NAMESPACES } from './system-tables/namespaces.ts';
import { SCHEMAS } from './system-tables/schemas.ts';
import { STORAGES } from './system-tables/storages.ts';
import { TOPIC_OFFSETS, TOPICS } from './system-tables/topics.ts';
import { USERS } from './system-tables/users.ts';
import { VIEWS } from './system-tables/views.ts';
import type { Table } from './table.ts';

/** System tables that are stored and that statements may name. */
export const NAMED_SYSTEM_TABLES: readonly Table[] = [
  NAMESPACES,
  SCHEMAS,
  USERS,
  STORAGES,
  JOBS,
  JOB_NODES,
  AUDIT_LOG,
  API_TOKENS,
  VIEWS,
  TOPICS,
  TOPIC_OFFSETS,
];

/** System tables that are stored and that no statement can name. */
export const INTERNAL_SYSTEM_TABLES: readonly Table[] = [COUNTERS, DROPPED_TABLES, MANIFESTS, EXPIRATIONS];

import type { StatementKind } from './ast.ts';

/** How one statement is recognised: its leading words; `*` stands for any one token. */
export interface StatementRule {
  readonly words: readonly string[];
  readonly name: string;
  readonly kind: StatementKind;
  readonly adminFor: string | undefined;
  /** The statement is known and refused with this text. */
  readonly refuse: string | undefined;
}

interface RuleOptions {
  readonly kind?: StatementKind;
  readonly adminFor?: string;
  readonly refuse?: string;
  readonly name?: string;
}

function rule(words: string, options: RuleOptions = {}): StatementRule {
  return {
    words: words.toLowerCase().split(' '),
    name: options.name ?? words.replace(' *', ''),
    kind: options.kind ?? 'not-implemented',
    adminFor: options.adminFor,
    refuse: options.refuse,
  };
}

const TABLE_KINDS = ['', 'USER ', 'SHARED ', 'STREAM '] as const;
const CLI_ONLY =
  'CLUSTER LIST is a CLI-only command. Use \\cluster list in kalam, or query system.cluster and system.cluster_groups directly.';
const NO_MATERIALIZED = 'Invalid CREATE VIEW statement: MATERIALIZED VIEWS are not supported yet';

function queryRules(): StatementRule[] {
  const select = { kind: 'select', name: 'SELECT' } as const;
  return [
    rule('SELECT', select),
    rule('WITH', select),
    rule('VALUES', select),
    rule('TABLE', select),
    rule('(', select),
    rule('INSERT OVERWRITE'),
    rule('INSERT', { kind: 'insert' }),
    rule('UPDATE', { kind: 'update' }),
    rule('DELETE', { kind: 'delete' }),
    rule('EXPLAIN LIVE', { kind: 'explain-live', adminFor: 'EXPLAIN commands' }),
    rule('EXPLAIN', { kind: 'explain', adminFor: 'EXPLAIN commands' }),
  ];
}

function namespaceRules(): StatementRule[] {
  const adminFor = 'namespace operations';
  return [
    rule('CREATE NAMESPACE', { kind: 'create-namespace', adminFor }),
    rule('ALTER NAMESPACE', { kind: 'alter-namespace', adminFor }),
    rule('DROP NAMESPACE', { kind: 'drop-namespace', adminFor }),
    rule('USE', { kind: 'use-namespace' }),
    rule('SET NAMESPACE', { kind: 'use-namespace' }),
    rule('SET', { kind: 'set-option', adminFor: 'SET commands' }),
  ];
}

function tableRules(): StatementRule[] {
  const rules: StatementRule[] = [];
  for (const kind of TABLE_KINDS) {
    rules.push(
      rule(`CREATE ${kind}TABLE`, { kind: 'create-table', name: 'CREATE TABLE' }),
      rule(`ALTER ${kind}TABLE`, { kind: 'alter-table', name: 'ALTER TABLE' }),
      rule(`DROP ${kind}TABLE`, { kind: 'drop-table', name: 'DROP TABLE' }),
    );
  }
  for (const view of ['', 'OR REPLACE ', 'TEMP ', 'TEMPORARY ', 'OR REPLACE TEMP ', 'OR REPLACE TEMPORARY ']) {
    rules.push(rule(`CREATE ${view}VIEW`, { kind: 'create-view', name: 'CREATE VIEW' }));
  }
  rules.push(
    rule('DROP VIEW', { kind: 'drop-view' }),
    rule('CREATE MATERIALIZED VIEW', { refuse: NO_MATERIALIZED }),
    rule('CREATE OR REPLACE MATERIALIZED VIEW', { refuse: NO_MATERIALIZED }),
  );
  return rules;
}

function showRules(): StatementRule[] {
  return [
    rule('SHOW NAMESPACES', { kind: 'show-namespaces' }),
    rule('SHOW TABLES', { kind: 'show-tables' }),
    rule('SHOW STATS FOR TABLE', { kind: 'show-stats', name: 'SHOW STATS' }),
    rule('SHOW TABLE STATS', { kind: 'show-stats', name: 'SHOW STATS' }),
    rule('SHOW STATS', { refuse: 'Expected SHOW STATS FOR TABLE statement' }),
    rule('SHOW STORAGES', { kind: 'show-storages' }),
    rule('SHOW MANIFEST', { kind: 'show-manifest' }),
    rule('SHOW EXPORT'),
    rule('SHOW BACKUP FOR', { kind: 'show-backups', adminFor: 'backup operations', name: 'SHOW BACKUPS' }),
    rule('SHOW BACKUP', { kind: 'show-backup', adminFor: 'backup operations' }),
    rule('SHOW BACKUPS', { kind: 'show-backups', adminFor: 'backup operations' }),
    rule('SHOW COLUMNS', { kind: 'show-columns', adminFor: 'SHOW COLUMNS' }),
    rule('SHOW ALL', { adminFor: 'SHOW ALL' }),
    rule('DESCRIBE TABLE *', { kind: 'describe-table', name: 'DESCRIBE TABLE' }),
    rule('DESC TABLE *', { kind: 'describe-table', name: 'DESCRIBE TABLE' }),
    rule('DESCRIBE *', { kind: 'describe-columns', adminFor: 'DESCRIBE', name: 'DESCRIBE' }),
    rule('DESC *', { kind: 'describe-columns', adminFor: 'DESC', name: 'DESCRIBE' }),
  ];
}

function storageRules(): StatementRule[] {
  const adminFor = 'storage operations';
  return [
    rule('CREATE STORAGE', { kind: 'create-storage', adminFor }),
    rule('ALTER STORAGE', { kind: 'alter-storage', adminFor }),
    rule('DROP STORAGE', { kind: 'drop-storage', adminFor }),
    rule('STORAGE CHECK', { kind: 'storage-check', adminFor }),
    rule('STORAGE FLUSH TABLE', { kind: 'storage-flush-table' }),
    rule('STORAGE FLUSH ALL', { kind: 'storage-flush-all' }),
    rule('STORAGE COMPACT TABLE', { kind: 'storage-compact-table' }),
    rule('STORAGE COMPACT ALL', { kind: 'storage-compact-all' }),
    rule('BACKUP DATABASE', { kind: 'backup-database', adminFor: 'backup operations' }),
    rule('BACKUP VERIFY', { kind: 'backup-verify', adminFor: 'backup operations' }),
    rule('RESTORE DATABASE', { kind: 'restore-database', adminFor: 'restore operations' }),
    rule('EXPORT USER DATA'),
  ];
}

function topicRules(): StatementRule[] {
  const adminFor = 'topic management';
  return [
    rule('CREATE TOPIC', { adminFor }),
    rule('ALTER TOPIC', { adminFor }),
    rule('DROP TOPIC', { adminFor }),
    rule('CLEAR TOPIC', { adminFor }),
    rule('CONSUME FROM'),
    rule('ACK *', { name: 'ACK' }),
  ];
}

function sessionRules(): StatementRule[] {
  return [
    rule('CREATE USER *', { kind: 'create-user', adminFor: 'user management', name: 'CREATE USER' }),
    rule('ALTER USER *', { kind: 'alter-user', name: 'ALTER USER' }),
    rule('DROP USER *', { kind: 'drop-user', adminFor: 'user management', name: 'DROP USER' }),
    rule('EXECUTE AS USER', { kind: 'execute-as-user' }),
    rule('SUBSCRIBE TO', { kind: 'subscribe-to', name: 'SUBSCRIBE' }),
    rule('SUBSCRIBE SELECT', { name: 'SUBSCRIBE' }),
    rule('KILL JOB', { kind: 'kill-job', adminFor: 'job management' }),
    rule('KILL LIVE QUERY', { kind: 'kill-live-query' }),
  ];
}

function transactionRules(): StatementRule[] {
  const rollbackTo = { kind: 'rollback-to-savepoint', name: 'ROLLBACK TO SAVEPOINT' } as const;
  return [
    rule('BEGIN', { kind: 'begin' }),
    rule('START TRANSACTION', { kind: 'begin', name: 'BEGIN' }),
    rule('COMMIT', { kind: 'commit' }),
    rule('ROLLBACK TO', rollbackTo),
    rule('ROLLBACK WORK TO', rollbackTo),
    rule('ROLLBACK TRANSACTION TO', rollbackTo),
    rule('ROLLBACK', { kind: 'rollback' }),
    rule('SAVEPOINT', { kind: 'savepoint' }),
    rule('RELEASE', { kind: 'release-savepoint', name: 'RELEASE SAVEPOINT' }),
  ];
}

function clusterRules(): StatementRule[] {
  const adminFor = 'cluster operations';
  const names = ['SNAPSHOT', 'PURGE', 'TRIGGER', 'TRANSFER', 'REBALANCE', 'STEPDOWN', 'STEP', 'CLEAR', 'JOIN', 'LEAVE'];
  return [
    ...['LIST', 'STATUS', 'LS'].map((word) => rule(`CLUSTER ${word}`, { refuse: CLI_ONLY })),
    ...names.map((word) => rule(`CLUSTER ${word}`, { adminFor, name: 'CLUSTER' })),
  ];
}

/** The rules for one first word. */
export interface RuleSet {
  /** The first that matches counts. */
  readonly rules: readonly StatementRule[];
  /** Words of the longest rule. */
  readonly wordsMax: number;
}

function byFirstWord(rules: readonly StatementRule[]): ReadonlyMap<string, RuleSet> {
  const map = new Map<string, RuleSet>();
  for (const entry of rules) {
    const first = entry.words[0] ?? '';
    const before = map.get(first);
    map.set(first, { rules: [...(before?.rules ?? []), entry], wordsMax: Math.max(before?.wordsMax ?? 0, entry.words.length) });
  }
  return map;
}

/** Every statement of the dialect by its first word, lower case. */
export const STATEMENT_RULES: ReadonlyMap<string, RuleSet> = byFirstWord([
  ...queryRules(),
  ...namespaceRules(),
  ...tableRules(),
  ...showRules(),
  ...storageRules(),
  ...topicRules(),
  ...sessionRules(),
  ...transactionRules(),
  ...clusterRules(),
]);

/** First words of statements that SQL has and the dialect has not. */
export const UNSUPPORTED_WORDS: ReadonlySet<string> = new Set(
  (
    'abort analyze analyse attach call checkpoint close cluster comment copy deallocate declare detach discard do end fetch grant import ' +
    'install listen load lock merge move notify pragma prepare reassign refresh reindex reset revoke security truncate ' +
    'unlisten vacuum optimize rename kill'
  ).split(' '),
);

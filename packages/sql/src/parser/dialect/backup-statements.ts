import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `BACKUP DATABASE [[IF EXISTS] ns] TO 'place' [MODE {FULL|INCREMENTAL}]` */
export function parseBackupDatabase(reader: TokenReader): Statement {
  reader.expectWords('backup database');
  const ifExists = reader.acceptWords('if exists');
  const namespace = ifExists || !reader.isWord('to') ? reader.nameOrString('a namespace').toLowerCase() : undefined;
  if (!reader.acceptWords('to')) throw reader.refuse('Expected TO clause in BACKUP DATABASE');
  const place = reader.string('a path in quotes');
  const mode = reader.acceptWords('mode') ? reader.acceptOneOf(['full', 'incremental']) : 'full';
  if (mode === undefined) throw reader.unexpected('FULL or INCREMENTAL');
  reader.expectEnd();
  return { kind: 'backup-database', namespace, ifExists, place, incremental: mode === 'incremental' };
}

/** `RESTORE DATABASE [[IF NOT EXISTS] ns] FROM 'place'` */
export function parseRestoreDatabase(reader: TokenReader): Statement {
  reader.expectWords('restore database');
  const ifNotExists = reader.acceptWords('if not exists');
  const namespace = ifNotExists || !reader.isWord('from') ? reader.nameOrString('a namespace').toLowerCase() : undefined;
  if (!reader.acceptWords('from')) throw reader.refuse('Expected FROM clause in RESTORE DATABASE');
  const place = reader.string('a path in quotes');
  reader.expectEnd();
  return { kind: 'restore-database', namespace, ifNotExists, place };
}

/** `{SHOW BACKUP|BACKUP VERIFY} 'place' [FOR DATABASE ns]` */
export function parseOneBackup(reader: TokenReader): Statement {
  const isShow = reader.acceptWords('show backup');
  if (!isShow) reader.expectWords('backup verify');
  const place = reader.string('a path in quotes');
  const namespace = reader.acceptWords('for database') ? reader.nameOrString('a namespace').toLowerCase() : undefined;
  reader.expectEnd();
  return { kind: isShow ? 'show-backup' : 'backup-verify', place, namespace };
}

/** `SHOW {BACKUP|BACKUPS} FOR DATABASE ns` */
export function parseShowBackups(reader: TokenReader): Statement {
  reader.expectWords('show');
  if (!reader.acceptWords('backups')) reader.expectWords('backup');
  reader.expectWords('for database');
  const namespace = reader.nameOrString('a namespace').toLowerCase();
  reader.expectEnd();
  return { kind: 'show-backups', namespace };
}

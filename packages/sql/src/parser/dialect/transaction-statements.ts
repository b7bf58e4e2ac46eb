import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `BEGIN [WORK | TRANSACTION]`, `START TRANSACTION`. There is one isolation level, so modes are refused, not ignored. */
export function parseBegin(reader: TokenReader): Statement {
  if (!reader.acceptWords('start transaction')) {
    reader.expectWords('begin');
    reader.acceptOneOf(['work', 'transaction']);
  }
  reader.expectEnd();
  return { kind: 'begin' };
}

/** `COMMIT [WORK | TRANSACTION]` */
export function parseCommit(reader: TokenReader): Statement {
  reader.expectWords('commit');
  reader.acceptOneOf(['work', 'transaction']);
  reader.expectEnd();
  return { kind: 'commit' };
}

/** `ROLLBACK [WORK | TRANSACTION]` */
export function parseRollback(reader: TokenReader): Statement {
  reader.expectWords('rollback');
  reader.acceptOneOf(['work', 'transaction']);
  reader.expectEnd();
  return { kind: 'rollback' };
}

/** `SAVEPOINT name` */
export function parseSavepoint(reader: TokenReader): Statement {
  reader.expectWords('savepoint');
  return { kind: 'savepoint', name: savepointName(reader) };
}

/** `ROLLBACK [WORK | TRANSACTION] TO [SAVEPOINT] name` */
export function parseRollbackToSavepoint(reader: TokenReader): Statement {
  reader.expectWords('rollback');
  reader.acceptOneOf(['work', 'transaction']);
  reader.expectWords('to');
  return { kind: 'rollback-to-savepoint', name: keywordedName(reader) };
}

/** `RELEASE [SAVEPOINT] name` */
export function parseReleaseSavepoint(reader: TokenReader): Statement {
  reader.expectWords('release');
  return { kind: 'release-savepoint', name: keywordedName(reader) };
}

/** `[SAVEPOINT] name`; a savepoint may itself be called `savepoint`. */
function keywordedName(reader: TokenReader): string {
  if (reader.peek(1).kind !== 'end') reader.acceptWords('savepoint');
  return savepointName(reader);
}

function savepointName(reader: TokenReader): string {
  const name = reader.name('a savepoint name');
  reader.expectEnd();
  return name;
}

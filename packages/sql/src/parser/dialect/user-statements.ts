import type { Statement } from '../../statement/ast.ts';
import { checkUserName } from '../../statement/names.ts';
import type { TokenReader } from './token-reader.ts';

type CreateUser = Extract<Statement, { kind: 'create-user' }>;

const ROLE_HINT = 'Expected ROLE keyword. Hint: ROLE is required: ... ROLE dba';
const CHANGE_HINT = 'Expected SET PASSWORD, SET ROLE or SET EMAIL';
const AUTH_HINT = 'Expected WITH PASSWORD, WITH OAUTH or WITH INTERNAL';

/** `CREATE USER name WITH {PASSWORD 'p' | OAUTH ['json'] | INTERNAL} ROLE role [EMAIL 'e']`. Throws INVALID_NAME for ids that are no names. */
export function parseCreateUser(reader: TokenReader): Statement {
  reader.expectWords('create user');
  const name = userName(reader);
  if (!reader.acceptWords('with')) throw reader.refuse(AUTH_HINT);
  const auth = parseAuth(reader);
  if (!reader.acceptWords('role')) throw reader.refuse(ROLE_HINT);
  const role = reader.nameOrString('a role');
  const email = reader.acceptWords('email') ? reader.string('an e-mail address in quotes') : undefined;
  reader.expectEnd();
  return { kind: 'create-user', name, auth, role, email };
}

function userName(reader: TokenReader): string {
  const name = reader.nameOrString('a user name');
  checkUserName(name);
  return name;
}

function parseAuth(reader: TokenReader): CreateUser['auth'] {
  switch (reader.acceptOneOf(['password', 'oauth', 'internal'])) {
    case 'password':
      return { kind: 'password', password: reader.string('a password in quotes') };
    case 'oauth':
      return { kind: 'oauth', json: reader.peek().kind === 'string' ? reader.string('JSON') : undefined };
    case 'internal':
      return { kind: 'internal' };
    default:
      throw reader.refuse(AUTH_HINT);
  }
}

/** `ALTER USER name SET {PASSWORD 'p' | ROLE role | EMAIL 'e'}` */
export function parseAlterUser(reader: TokenReader): Statement {
  reader.expectWords('alter user');
  const name = userName(reader);
  if (!reader.acceptWords('set')) throw reader.refuse(CHANGE_HINT);
  const change = parseChange(reader);
  reader.expectEnd();
  return { kind: 'alter-user', name, change };
}

function parseChange(reader: TokenReader): Extract<Statement, { kind: 'alter-user' }>['change'] {
  switch (reader.acceptOneOf(['password', 'role', 'email'])) {
    case 'password':
      return { kind: 'password', password: reader.string('a password in quotes') };
    case 'role':
      return { kind: 'role', role: reader.nameOrString('a role') };
    case 'email':
      return { kind: 'email', email: reader.string('an e-mail address in quotes') };
    default:
      throw reader.refuse(CHANGE_HINT);
  }
}

/** `DROP USER [IF EXISTS] name` */
export function parseDropUser(reader: TokenReader): Statement {
  reader.expectWords('drop user');
  const ifExists = reader.acceptWords('if exists');
  const name = userName(reader);
  reader.expectEnd();
  return { kind: 'drop-user', name, ifExists };
}

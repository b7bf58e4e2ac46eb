import { createHash } from 'node:crypto';
import { KalamError, kalamError } from '@kalamdb/protocol';
import { checkObjectKey } from '@kalamdb/storage';

/** Characters of a template: with the longest names an object's name stays shorter than stores allow. */
const TEMPLATE_CHARS_MAX = 300;
/** Characters of the files' own names, which the check of a template leaves room for. */
const FILE_NAME_CHARS_MAX = 64;
/** Names that are written out as they are; their characters are the same on every file system and in every bucket. */
const PLAIN_NAME = /^[a-z0-9_-]{1,64}$/;
const READABLE_CHARS_MAX = 40;
/** Hex digits of the hash that stands for a name that cannot be written out: 128 bits. */
const NAME_HASH_DIGITS = 32;
/** Hex digits of the hash of an owner in the last part of its folder: 64 bits. */
const OWNER_HASH_DIGITS = 16;
/** Shards are numbered from 00. */
const SHARDS = 100;

const PLACEHOLDERS: Readonly<Record<string, Placeholder>> = {
  namespace: 'namespace',
  namespace_id: 'namespace',
  tableName: 'tableName',
  table_name: 'tableName',
  shard: 'shard',
  shard_id: 'shard',
  userId: 'userId',
  user_id: 'userId',
};

/** The kinds of table that have a template of their own. */
export type TemplateKind = 'shared' | 'user';

interface TemplateRule {
  readonly name: string;
  readonly order: readonly Placeholder[];
  readonly optional: readonly Placeholder[];
}

type Placeholder = 'namespace' | 'tableName' | 'shard' | 'userId';

/** Which placeholders a kind of table has, in their order. */
const RULES: Readonly<Record<TemplateKind, TemplateRule>> = {
  shared: { name: 'Shared table template', order: ['namespace', 'tableName'], optional: [] },
  user: { name: 'User table template', order: ['namespace', 'tableName', 'shard', 'userId'], optional: ['shard'] },
};

/** A partition, as far as its folder is concerned. */
export interface FolderSubject {
  readonly tableId: number;
  readonly namespace: string;
  readonly tableName: string;
  /** Empty for SHARED tables. */
  readonly owner: string;
}

/**
 * Refuses a template that breaks the rules of sql-dialect B21 (INVALID_OPERATION with their texts), holds other characters than
 * letters, digits, `_`, `-` and `/` between its placeholders, or would make names that are too long.
 */
export function checkTemplate(kind: TemplateKind, template: string): void {
  const { name, order, optional } = RULES[kind];
  const problem = orderProblem(template, order, optional) ?? textProblem(template);
  if (problem !== undefined) throw kalamError('INVALID_OPERATION', { reason: `Invalid storage template: ${name}: ${problem}` });
}

/**
 * The folder of a partition, with a slash at the end: the template with its placeholders filled in, and one part more, `table.<id>` or
 * `table.<id>.<hash of the owner>`. That part is no other partition's, whatever the templates say and whatever was dropped and
 * made again under the same names, and nothing but objects of the partition lies below it.
 */
export function folderOf(template: string, subject: FolderSubject): string {
  const { tableId, owner } = subject;
  const filled = template.replace(/\{(\w+)\}/g, (_, written: string) => filledIn(PLACEHOLDERS[written], subject));
  const own = owner === '' ? `table.${tableId}` : `table.${tableId}.${hash(owner, OWNER_HASH_DIGITS)}`;
  return `${partsOf(filled).join('/')}/${own}/`;
}

function orderProblem(template: string, order: readonly Placeholder[], optional: readonly Placeholder[]): string | undefined {
  const found: Placeholder[] = [];
  for (const [, written = ''] of template.matchAll(/\{([^{}]*)\}/g)) {
    const placeholder = PLACEHOLDERS[written];
    if (placeholder === undefined || !order.includes(placeholder)) return `{${written.slice(0, 64)}} is not known here`;
    if (found.includes(placeholder)) return `{${placeholder}} is given twice`;
    found.push(placeholder);
  }
  const missing = order.find((placeholder) => !optional.includes(placeholder) && !found.includes(placeholder));
  if (missing !== undefined) return `{${missing}} is required`;
  const wanted = order.filter((placeholder) => found.includes(placeholder));
  const late = wanted.findIndex(
    (placeholder, index) => index > 0 && found.indexOf(placeholder) < found.indexOf(wanted[index - 1] ?? placeholder),
  );
  return late < 0 ? undefined : `{${wanted[late - 1]}} must appear before {${wanted[late]}}`;
}

function textProblem(template: string): string | undefined {
  if (template.length > TEMPLATE_CHARS_MAX) return `it is longer than ${TEMPLATE_CHARS_MAX} characters`;
  const between = template.replace(/\{\w+\}/g, '');
  if (!/^[A-Za-z0-9_/-]*$/.test(between)) return 'only letters, digits, _, - and / may stand between placeholders';
  const longest = { tableId: 2 ** 32 - 1, namespace: 'n'.repeat(64), tableName: 't'.repeat(64), owner: 'U'.repeat(64) };
  try {
    checkObjectKey(`${folderOf(template, longest)}${'f'.repeat(FILE_NAME_CHARS_MAX)}`);
    return undefined;
  } catch (error) {
    if (error instanceof KalamError) return 'the names that it makes are too long';
    throw error;
  }
}

function partsOf(path: string): readonly string[] {
  return path.split('/').filter((part) => part !== '');
}

function filledIn(placeholder: Placeholder | undefined, { namespace, tableName, owner }: FolderSubject): string {
  switch (placeholder) {
    case 'namespace':
      return nameOf(namespace);
    case 'tableName':
      return nameOf(tableName);
    case 'userId':
      return nameOf(owner);
    case 'shard':
      return String(Number.parseInt(hash(owner, 8), 16) % SHARDS).padStart(2, '0');
    case undefined:
      throw kalamError('INTERNAL_ERROR', { reason: 'a storage template with an unknown placeholder' });
    default:
      return placeholder satisfies never;
  }
}

/** A name as a part of a path: itself, or what can be read of it with a hash. Different names give different parts, whatever their case. */
function nameOf(name: string): string {
  if (PLAIN_NAME.test(name)) return name;
  const readable = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '_')
    .slice(0, READABLE_CHARS_MAX);
  return `${readable}.${hash(name, NAME_HASH_DIGITS)}`;
}

function hash(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}

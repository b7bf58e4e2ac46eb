/** What a SQL text says about files. */
export interface FileUse {
  /** The names in `FILE("…")` and `FILE('…')`, in order. */
  readonly placeholders: readonly string[];
  /** Statements that are not empty. */
  readonly statements: number;
}

/** The spellings that stand for a file; other ones are functions like any other. */
const WORDS: readonly string[] = ['FILE', 'File', 'file'];
/** What a text is made of here: comments, quoted things, words, the end of a statement, and everything else. */
const TOKEN = /--[^\n]*|\/\*|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|\$(?:[A-Za-z_]\w*)?\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\s+|[\s\S]/gy;

/** Whether a text can hold a placeholder at all; of those that can, most texts of statements still hold none. */
export function mayNameFiles(sql: string): boolean {
  return WORDS.some((word) => sql.includes(word));
}

/** Reads the placeholders of a text, outside of its comments and texts. */
export function fileUse(sql: string): FileUse {
  const placeholders: string[] = [];
  let statements = 0;
  let isEmpty = true;
  const scan = new RegExp(TOKEN);
  for (let token = scan.exec(sql)?.[0]; token !== undefined; token = scan.exec(sql)?.[0]) {
    if (token === '/*') scan.lastIndex = commentEnd(sql, scan.lastIndex);
    else if (token === ';') isEmpty = true;
    else if (token.startsWith('--') || token.trim() === '') continue;
    else {
      if (isEmpty) statements += 1;
      isEmpty = false;
      if (token.startsWith('$')) scan.lastIndex = dollarEnd(sql, token, scan.lastIndex);
      const name = WORDS.includes(token) ? placeholderAt(sql, scan.lastIndex) : undefined;
      if (name !== undefined) placeholders.push(name);
    }
  }
  return { placeholders, statements };
}

function placeholderAt(sql: string, at: number): string | undefined {
  const call = /\s*\(\s*(?:'([^']*)'|"([^"]*)")\s*\)/y;
  call.lastIndex = at;
  const found = call.exec(sql);
  return found?.[1] ?? found?.[2];
}

/** Comments of this kind nest. */
function commentEnd(sql: string, from: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = from;
  for (let depth = 1; depth > 0; ) {
    const found = edge.exec(sql)?.[0];
    if (found === undefined) return sql.length;
    depth += found === '/*' ? 1 : -1;
  }
  return edge.lastIndex;
}

/** Behind a text between two tags, or behind the `$` of a parameter. */
function dollarEnd(sql: string, tag: string, from: number): number {
  if (tag.length < 2) return from;
  const end = sql.indexOf(tag, from);
  return end < 0 ? sql.length : end + tag.length;
}

/** Characters of a statement that are looked at; what stands behind them is not shown. */
const READ_CHARACTERS_MAX = 16_384;
/** Characters of a statement that are shown, if nothing else is said. */
const SHOWN_CHARACTERS_MAX = 1_000;

/**
 * What a statement is cut into: space and signs, comments to the end of the line, the begin of other comments, texts with and without
 * escapes, parameters, dollar-quoted texts, quoted names, words, numbers. What does not end goes to the end.
 */
const TOKEN =
  /(?<comment>--[^\n]*|\/\*)|(?<name>"(?:[^"]|"")*(?:"|$)|\$\d+|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*(?!['\w]|&'))|(?<literal>[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|\\?$)|(?:[A-Za-z]&?)?'(?:[^']|'')*(?:'|$)|\$([A-Za-z_]\w*)?\$[\s\S]*?(?:\$\4\$|$)|\d[\w.]*)|(?<sign>[\s\S])/y;
const COMMENT_EDGE = /\/\*|\*\//g;

/**
 * A statement as it may be kept for others to read, in a log: every literal is `?`, and so is whatever follows PASSWORD; comments are gone.
 * Names and parameters (`$1`) stay. It need not be valid SQL. `charactersMax`: where the text is cut.
 */
export function redactStatement(sql: string, charactersMax: number = SHOWN_CHARACTERS_MAX): string {
  const text = sql.slice(0, READ_CHARACTERS_MAX);
  let shown = '';
  let before = '';
  for (let at = 0; at < text.length; ) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (found === null) break;
    const [token] = found;
    const { comment, name, sign } = found.groups ?? {};
    at += token.length;
    if (comment !== undefined) {
      shown += ' ';
      if (comment === '/*') at = commentEnd(text, at);
    } else if (sign !== undefined) shown += sign;
    else {
      shown += name === undefined || before === 'password' ? '?' : name;
      before = token.toLowerCase();
    }
  }
  const line = shown.replace(/\s+/g, ' ').trim();
  return line.length <= charactersMax ? line : `${line.slice(0, charactersMax)}…`;
}

/** Where a comment ends whose begin ended at `from`; comments nest. */
function commentEnd(text: string, from: number): number {
  COMMENT_EDGE.lastIndex = from;
  let depth = 1;
  while (depth > 0) {
    const edge = COMMENT_EDGE.exec(text);
    if (edge === null) return text.length;
    depth += edge[0] === '/*' ? 1 : -1;
  }
  return COMMENT_EDGE.lastIndex;
}

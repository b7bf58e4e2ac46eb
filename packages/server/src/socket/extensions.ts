/**
 * Parts of the protocol that only clients get who ask for them (`protocol.extensions`); docs/live-extensions.md.
 *
 * - `progress`: a live subscription that nothing has matched is told every few seconds how far the commit order has gone, and frames say
 *   where a commit ends.
 * - `window`: live queries may have ORDER BY and LIMIT.
 * - `commit-token`: writes over HTTP name their commits to those who ask, and a query can ask for one.
 */
const EXTENSIONS = ['progress', 'window', 'commit-token'] as const;

/** An extension that this server speaks. */
export type Extension = (typeof EXTENSIONS)[number];

/** Those of the wanted extensions that the server speaks, each once, in its own order; other names mean nothing. */
export function grantedExtensions(wanted: readonly string[]): readonly Extension[] {
  return EXTENSIONS.filter((name) => wanted.includes(name));
}

/** The names in the query parameter `extensions`, separated by commas; `undefined` when it is absent. */
export function extensionsOfQuery(parameter: string | null): readonly string[] | undefined {
  return parameter?.split(',').map((name) => name.trim());
}

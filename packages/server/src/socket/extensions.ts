/**
 * Parts of the protocol that only clients get who ask for them (`protocol.extensions`).
 *
 * - `progress`: a live subscription that nothing has matched is told every few seconds how far the commit order has gone.
 */
const EXTENSIONS = ['progress'] as const;

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

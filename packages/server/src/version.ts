/** The release. */
export const VERSION = '0.1.0';
/** The version of the HTTP and WebSocket interface. */
export const API_VERSION = 'v1';

/** When this build was made; a packager sets `KALAMDB_BUILD_DATE`. */
export function buildDate(): string {
  return process.env['KALAMDB_BUILD_DATE'] ?? 'unknown';
}

const uuidText = /^\{?([0-9a-fA-F]{8})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{12})\}?$/;
const hexText = /^(?:[0-9a-fA-F]{2})*$/;
const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The canonical form (lower case, hyphens) of a UUID written in any case, with or without hyphens and braces. */
export function parseUuid(text: string): string | undefined {
  const match = uuidText.exec(text.trim());
  return match === null ? undefined : match.slice(1).join('-').toLowerCase();
}

/** Whether the text is a UUID in canonical form. */
export function isCanonicalUuid(text: string): boolean {
  return text.length === 36 && parseUuid(text) === text;
}

/** The bytes of an even number of hexadecimal digits. */
export function parseHex(text: string): Uint8Array | undefined {
  if (!hexText.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Two lower-case digits for each byte. */
export function formatHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hexPairs[byte];
  return text;
}

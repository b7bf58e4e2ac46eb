import { kalamError } from '../errors/kalam-error.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';

const textLength = 36;
const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** Where each of the 16 bytes has its two digits in the canonical text. */
const digitOffsets: readonly number[] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/** Writes the 16 bytes that a canonical UUID text stands for; another text is INTERNAL_ERROR. */
export function writeUuid(out: ByteWriter, text: string): void {
  if (text.length !== textLength) throw notCanonical();
  for (const offset of digitOffsets) out.byte(uuidByte(text, offset));
}

/** Reads 16 bytes as a canonical UUID text. */
export function readUuid(input: ByteReader): string {
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += hexPairs[input.byte()];
  }
  return text;
}

/** The 16 bytes of a canonical UUID text, one char each. */
export function uuidBinaryString(text: string): string {
  if (text.length !== textLength) throw notCanonical();
  let binary = '';
  for (const offset of digitOffsets) binary += String.fromCharCode(uuidByte(text, offset));
  return binary;
}

function uuidByte(text: string, offset: number): number {
  return digit(text.charCodeAt(offset)) * 16 + digit(text.charCodeAt(offset + 1));
}

function digit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  if (unit >= 0x61 && unit <= 0x66) return unit - 0x57;
  throw notCanonical();
}

function notCanonical(): Error {
  return kalamError('INTERNAL_ERROR', { reason: 'a UUID that is not in canonical form reached a codec' });
}

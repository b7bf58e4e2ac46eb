import { isUtf8 } from 'node:buffer';
import { type JsonValue, kalamError } from '@kalamdb/protocol';

/** Levels of arrays and maps; messages of clients have three. */
const DEPTH_MAX = 32;
/** Values of one message, members and elements together; a hostile message could else become fifty times its size. */
const VALUES_MAX = 10_000;

/**
 * Reads one MessagePack value (https://github.com/msgpack/msgpack/blob/master/spec.md) that fills the bytes to their end.
 * Integers beyond ±(2^53-1) are bigints. Maps become objects; their keys must be texts, and `__proto__` is a key like any
 * other. What JSON has no word for is refused: binary, extension types (timestamps too), numbers that are not finite, text
 * that is not UTF-8. Throws MSGPACK_REFUSED; nothing else, whatever the bytes are. Reads at most as much as there is: a
 * length that promises more than the rest of the message is refused before anything is made for it.
 */
export function readMsgpack(bytes: Buffer): JsonValue {
  return new MsgpackReader(bytes).read();
}

class MsgpackReader {
  readonly #bytes: Buffer;
  #offset = 0;
  #depth = 0;
  #values = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): JsonValue {
    const value = this.#value();
    if (this.#offset < this.#bytes.length) throw refused(`bytes after the value, at offset ${this.#offset}`);
    return value;
  }

  #value(): JsonValue {
    if (++this.#values > VALUES_MAX) throw refused(`more than ${VALUES_MAX} values`);
    const marker = this.#unsigned(1);
    if (marker < 0x80) return marker;
    if (marker < 0x90) return this.#map(marker & 0x0f);
    if (marker < 0xa0) return this.#array(marker & 0x0f);
    if (marker < 0xc0) return this.#text(marker & 0x1f);
    if (marker >= 0xe0) return marker - 0x100;
    return this.#marked(marker);
  }

  #marked(marker: number): JsonValue {
    switch (marker) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(1 << (marker - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(2 << (marker - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(2 << (marker - 0xde)));
      default:
        return this.#number(marker);
    }
  }

  #number(marker: number): JsonValue {
    switch (marker) {
      case 0xca:
        return finite(this.#bytes.readFloatBE(this.#skip(4)));
      case 0xcb:
        return finite(this.#bytes.readDoubleBE(this.#skip(8)));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(1 << (marker - 0xcc));
      case 0xcf:
        return exact(this.#bytes.readBigUInt64BE(this.#skip(8)));
      case 0xd0:
        return this.#bytes.readInt8(this.#skip(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#skip(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#skip(4));
      case 0xd3:
        return exact(this.#bytes.readBigInt64BE(this.#skip(8)));
      default:
        throw refused(marker === 0xc1 ? 'wrong msgpack marker Reserved' : `marker 0x${marker.toString(16)} is not taken`);
    }
  }

  #text(length: number): string {
    const start = this.#skip(length);
    const text = this.#bytes.subarray(start, start + length);
    if (!isUtf8(text)) throw refused(`text that is not UTF-8, at offset ${start}`);
    return text.toString('utf8');
  }

  #array(length: number): JsonValue {
    this.#enter(length);
    const elements: JsonValue[] = [];
    for (let i = 0; i < length; i++) elements.push(this.#value());
    this.#depth--;
    return elements;
  }

  #map(length: number): JsonValue {
    this.#enter(length * 2);
    const members: Record<string, JsonValue> = {};
    for (let i = 0; i < length; i++) {
      const name = this.#value();
      if (typeof name !== 'string') throw refused('a key that is not a text');
      const value = this.#value();
      // an assignment to `__proto__` would set the prototype
      if (name === '__proto__') Object.defineProperty(members, name, { value, configurable: true, enumerable: true, writable: true });
      else members[name] = value;
    }
    this.#depth--;
    return members;
  }

  /** Every element takes a byte, so what is promised must be there. */
  #enter(values: number): void {
    if (++this.#depth > DEPTH_MAX) throw refused(`nested deeper than ${DEPTH_MAX} levels`);
    if (values > this.#bytes.length - this.#offset) throw refused('unexpected end');
  }

  /** A big-endian integer of 1, 2 or 4 bytes. */
  #unsigned(length: number): number {
    return this.#bytes.readUIntBE(this.#skip(length), length);
  }

  /** Where the next `length` bytes begin. */
  #skip(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) throw refused('unexpected end');
    this.#offset = start + length;
    return start;
  }
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw refused('a number that is not finite');
  return value;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function refused(reason: string): Error {
  return kalamError('MSGPACK_REFUSED', { reason });
}

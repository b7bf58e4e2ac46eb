import type { JsonObject, JsonValue } from '@kalamdb/protocol';

/** Where a writer begins; it doubles as it must. */
const BYTES_START = 4096;
/** A writer's buffer that has grown beyond this is not kept. */
const BYTES_KEPT_MAX = 1_048_576;
const INT32_MIN = -0x8000_0000;
const UINT32_MAX = 0xffff_ffff;
const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MIN = -(2n ** 63n);

/**
 * Writes values that JSON can say as MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), each in its
 * shortest form; the order of members is kept.
 *
 * | value | form | worked value |
 * |---|---|---|
 * | integer 0 … 127, -32 … -1 | fixint | 5 → `05`, -1 → `ff` |
 * | other integer that fits 64 bits | uint 8–64 if positive, int 8–64 if not | 300 → `cd 01 2c`; 316847529014263808 → `cf 04 65 ab 26 …` |
 * | other number | float 64 | 1.5 → `cb 3f f8 00 00 00 00 00 00` |
 * | text | fixstr, str 8–32, in UTF-8 | `"a"` → `a1 61` |
 * | array, object | fixarray/fixmap, array/map 16–32 | `[1]` → `91 01`, `{"a":1}` → `81 a1 61 01` |
 * | null, false, true | | `c0`, `c2`, `c3` |
 */
export class MsgpackWriter {
  #bytes = Buffer.allocUnsafeSlow(BYTES_START);
  #length = 0;

  /** What was written since the last time, as a copy. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    if (this.#bytes.length > BYTES_KEPT_MAX) this.#bytes = Buffer.allocUnsafeSlow(BYTES_START);
    return taken;
  }

  /** One value. */
  value(value: JsonValue | undefined): void {
    if (value === null || value === undefined) this.#head(0xc0);
    else if (typeof value === 'string') this.text(value);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'boolean') this.#head(value ? 0xc3 : 0xc2);
    else if (typeof value === 'bigint') this.#bigint(value);
    else if (isArray(value)) {
      this.arrayHead(value.length);
      for (const element of value) this.value(element);
    } else {
      const names = Object.keys(value);
      this.mapHead(names.length);
      this.#members(value, names);
    }
  }

  /** The members of an object without its head; answers how many there are. */
  members(object: JsonObject): number {
    const names = Object.keys(object);
    this.#members(object, names);
    return names.length;
  }

  /** The head of an object with so many members, which must follow. */
  mapHead(count: number): void {
    if (count < 16) this.#head(0x80 | count);
    else this.#sized(count <= 0xffff ? 0xde : 0xdf, count, count <= 0xffff ? 2 : 4);
  }

  /** The head of an array with so many elements, which must follow. */
  arrayHead(count: number): void {
    if (count < 16) this.#head(0x90 | count);
    else this.#sized(count <= 0xffff ? 0xdc : 0xdd, count, count <= 0xffff ? 2 : 4);
  }

  text(text: string): void {
    const length = Buffer.byteLength(text);
    if (length < 32) this.#head(0xa0 | length);
    else if (length <= 0xff) this.#sized(0xd9, length, 1);
    else this.#sized(length <= 0xffff ? 0xda : 0xdb, length, length <= 0xffff ? 2 : 4);
    this.#reserve(length);
    this.#bytes.write(text, this.#length, 'utf8');
    this.#length += length;
  }

  /** Bytes that are MessagePack already. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #members(object: JsonObject, names: readonly string[]): void {
    for (const name of names) {
      this.text(name);
      this.value(object[name]);
    }
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#double(value);
    else if (value >= -32 && value < 128) this.#head(value & 0xff);
    else if (value > 0 && value <= UINT32_MAX) {
      if (value <= 0xff) this.#sized(0xcc, value, 1);
      else this.#sized(value <= 0xffff ? 0xcd : 0xce, value, value <= 0xffff ? 2 : 4);
    } else if (value < 0 && value >= INT32_MIN) this.#negative(value);
    else this.#bigint(BigInt(value));
  }

  #double(value: number): void {
    this.#reserve(9);
    this.#bytes[this.#length++] = 0xcb;
    this.#length = this.#bytes.writeDoubleBE(value, this.#length);
  }

  #negative(value: number): void {
    const length = value >= -0x80 ? 1 : value >= -0x8000 ? 2 : 4;
    this.#reserve(1 + length);
    this.#bytes[this.#length++] = length === 1 ? 0xd0 : length === 2 ? 0xd1 : 0xd2;
    this.#length = this.#bytes.writeIntBE(value, this.#length, length);
  }

  #bigint(value: bigint): void {
    const short = value >= INT32_MIN && value <= UINT32_MAX;
    if (short || value > UINT64_MAX || value < INT64_MIN) {
      this.#number(Number(value));
      return;
    }
    this.#reserve(9);
    this.#bytes[this.#length++] = value < 0n ? 0xd3 : 0xcf;
    this.#length = value < 0n ? this.#bytes.writeBigInt64BE(value, this.#length) : this.#bytes.writeBigUInt64BE(value, this.#length);
  }

  #sized(marker: number, size: number, bytes: number): void {
    this.#reserve(1 + bytes);
    this.#bytes[this.#length++] = marker;
    this.#length = this.#bytes.writeUIntBE(size, this.#length, bytes);
  }

  #head(marker: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = marker;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

function isArray(value: JsonObject | readonly JsonValue[]): value is readonly JsonValue[] {
  return Array.isArray(value);
}

import { type JsonObject, type JsonValue, kalamError } from '@kalamdb/protocol';

/** Reads the members of a JSON object one by one. Every method throws DAMAGED_DATA that names the place and the member. */
export class FieldReader {
  readonly #object: JsonObject;
  readonly #where: string;
  readonly #read = new Set<string>();

  constructor(value: JsonValue | undefined, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw kalamError('DAMAGED_DATA', { where, reason: 'it is no JSON object' });
    }
    this.#object = value as JsonObject;
    this.#where = where;
  }

  /** All members. */
  get names(): readonly string[] {
    return Object.keys(this.#object);
  }

  /** A DAMAGED_DATA error that names a member. */
  damage(name: string, reason: string): Error {
    return kalamError('DAMAGED_DATA', { where: this.#where, reason: `${name} ${reason}` });
  }

  value(name: string): JsonValue {
    this.#read.add(name);
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    if (value === undefined) throw this.damage(name, 'is missing');
    return value;
  }

  /** The member alone in an object; an empty one when it is not there. */
  optional(name: string): JsonObject {
    return Object.hasOwn(this.#object, name) ? { [name]: this.value(name) } : {};
  }

  text(name: string): string {
    const value = this.value(name);
    if (typeof value !== 'string') throw this.damage(name, 'is no text');
    return value;
  }

  /** A name below a folder that leads to no other one. */
  objectName(name: string): string {
    const text = this.text(name);
    if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/.test(text)) throw this.damage(name, 'is no name of an object');
    return text;
  }

  /** An integer from 0 to 2^53 - 1. */
  count(name: string): number {
    const value = this.value(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw this.damage(name, 'is no count');
    return value;
  }

  /** An integer from 0 to 2^63 - 1 as a decimal text. */
  seq(name: string): bigint {
    const text = this.text(name);
    const value = /^(?:0|[1-9]\d{0,18})$/.test(text) ? BigInt(text) : -1n;
    if (value < 0n || BigInt.asIntN(64, value) !== value) throw this.damage(name, 'is no sequence number');
    return value;
  }

  list(name: string): readonly JsonValue[] {
    const value = this.value(name);
    if (!Array.isArray(value)) throw this.damage(name, 'is no list');
    return value;
  }

  /** Throws for a member that nobody has read. */
  end(): void {
    const unknown = this.names.find((name) => !this.#read.has(name));
    if (unknown !== undefined) throw this.damage(unknown, 'is not known');
  }
}

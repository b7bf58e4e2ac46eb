import { type Static, type TSchema, type TUnsafe, Type } from 'typebox';
import type { JsonValue } from '../json/json-value.ts';

/** A schema whose checked values are of type T. It works with typebox's `Compile` and `Value`, and is a JSON Schema. */
export type MessageSchema<T> = TUnsafe<T>;

/** `readonly` taken off, so that an interface can be compared with what typebox infers; any JSON value stays as it is, being recursive. */
type Mutable<T> = [JsonValue] extends [T] ? 'any JSON value' : T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
type Same<A, B> = [Mutable<A>] extends [Mutable<B>] ? ([Mutable<B>] extends [Mutable<A>] ? true : false) : false;
type Shape<T, S extends TSchema> = Same<Static<S>, T> extends true ? S : never;

/** Binds a schema to its documented type; does not compile when the two differ. Call as `messageSchema<T>()(schema)`. */
export function messageSchema<T>(): <S extends TSchema>(schema: Shape<T, S>) => MessageSchema<T> {
  return (schema) => Type.Unsafe<T>(schema);
}

/** A bare integer literal of up to 64 bits, as `parseJson` reads it: a number up to 2^53-1, a bigint beyond. */
export type Int64 = number | bigint;

/** Schema of {@link Int64}. */
export const int64Schema: MessageSchema<Int64> = messageSchema<Int64>()(
  Type.Union([
    Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
    // typebox compares with doubles: both of these bounds are exact as one
    Type.BigInt({ minimum: -(2n ** 63n), exclusiveMaximum: 2n ** 63n }),
  ]),
);

/** Schema of any JSON value. */
export const jsonSchema: MessageSchema<JsonValue> = Type.Unsafe<JsonValue>({});

/** Schema of one of some texts. */
export function oneOf<const T extends string>(...texts: readonly T[]): MessageSchema<T> {
  return Type.Unsafe<T>({ enum: texts });
}

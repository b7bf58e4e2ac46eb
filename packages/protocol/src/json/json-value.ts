/** What JSON can say; integers beyond ±(2^53-1) are bigints. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject;

/** A JSON object. Members are own properties, `__proto__` too; read them with brackets. */
export interface JsonObject {
  readonly [member: string]: JsonValue;
}

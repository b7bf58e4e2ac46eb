import { Type } from 'typebox';
import type { JsonValue } from '../json/json-value.ts';
import type { WireType } from '../values/type-name.ts';
import { type Int64, int64Schema, jsonSchema, type MessageSchema, messageSchema, oneOf } from './message-schema.ts';

/** Body of `POST /v1/api/sql`. Unknown members are ignored. */
export interface SqlRequest {
  /** One or more statements separated by `;`. */
  readonly sql: string;
  /** Values for `$1 …`: null, booleans, numbers and texts; other values are refused when they are bound. */
  readonly params?: readonly JsonValue[] | null;
  /** Namespace of unqualified names; `default` when absent. */
  readonly namespace_id?: string | null;
  /** Parts of the protocol that are wanted: `commit-token`. */
  readonly extensions?: readonly string[] | null;
  /** Answer from a state that holds this commit: decimal text or an integer. */
  readonly at_least?: Int64 | string | null;
}

/** Schema of {@link SqlRequest}. */
export const sqlRequestSchema: MessageSchema<SqlRequest> = messageSchema<SqlRequest>()(
  Type.Object({
    sql: Type.String(),
    params: Type.Optional(Type.Union([Type.Array(jsonSchema), Type.Null()])),
    namespace_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    extensions: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
    at_least: Type.Optional(Type.Union([int64Schema, Type.String(), Type.Null()])),
  }),
);

/** What a column says about itself, in this order: primary key, not null, unique. */
export type SchemaFlag = 'pk' | 'nn' | 'uq';

/** One column of a result or subscription. */
export interface SchemaEntry {
  readonly name: string;
  readonly data_type: WireType;
  /** 0-based position in each row. */
  readonly index: number;
  /** Absent when none. */
  readonly flags?: readonly SchemaFlag[];
}

/** Schema of {@link SchemaEntry}. */
export const schemaEntrySchema: MessageSchema<SchemaEntry> = messageSchema<SchemaEntry>()(
  Type.Object({
    name: Type.String(),
    data_type: Type.Union([
      Type.String(),
      Type.Object({ Embedding: Type.Integer() }),
      Type.Object({ Decimal: Type.Object({ precision: Type.Integer(), scale: Type.Integer() }) }),
    ]),
    index: Type.Integer({ minimum: 0 }),
    flags: Type.Optional(Type.Array(oneOf('pk', 'nn', 'uq'))),
  }),
);

/** What one statement answered. */
export interface SqlResult {
  readonly schema?: readonly SchemaEntry[];
  /** Arrays in the order of `schema[].index`. */
  readonly rows?: readonly (readonly JsonValue[])[];
  /** Rows returned or affected; 0 for DDL. */
  readonly row_count: number;
  /** For statements without rows, for example `Inserted 2 row(s)`. */
  readonly message?: string;
  /** The user the statement ran as; servers always send it, clients need not have it. */
  readonly as_user?: string;
  /** For those who want `commit-token`: the commit that the statement has made, in decimal. */
  readonly commit?: string;
}

/** Schema of {@link SqlResult}. */
export const sqlResultSchema: MessageSchema<SqlResult> = messageSchema<SqlResult>()(
  Type.Object({
    schema: Type.Optional(Type.Array(schemaEntrySchema)),
    rows: Type.Optional(Type.Array(Type.Array(jsonSchema))),
    row_count: Type.Integer({ minimum: 0 }),
    message: Type.Optional(Type.String()),
    as_user: Type.Optional(Type.String()),
    commit: Type.Optional(Type.String()),
  }),
);

/** Why a request failed. */
export interface SqlErrorBody {
  readonly code: string;
  readonly message: string;
  /** The statement's text, for admins only. */
  readonly details?: string | null;
}

/** Schema of {@link SqlErrorBody}. */
export const sqlErrorBodySchema: MessageSchema<SqlErrorBody> = messageSchema<SqlErrorBody>()(
  Type.Object({
    code: Type.String(),
    message: Type.String(),
    details: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  }),
);

/** Answer of `POST /v1/api/sql` when every statement succeeded. */
export interface SqlSuccess {
  readonly status: 'success';
  readonly results: readonly SqlResult[];
  /** Elapsed milliseconds. */
  readonly took: number;
  /** Present, and null, when a single statement produced rows. */
  readonly error?: null;
}

/** Answer of the data routes when a request failed, authentication included. */
export interface SqlFailure {
  readonly status: 'error';
  readonly results: readonly SqlResult[];
  readonly took: number;
  readonly error: SqlErrorBody;
}

/** Answer of `POST /v1/api/sql`. */
export type SqlResponse = SqlSuccess | SqlFailure;

/** Schema of {@link SqlResponse}. */
export const sqlResponseSchema: MessageSchema<SqlResponse> = messageSchema<SqlResponse>()(
  Type.Union([
    Type.Object({
      status: oneOf('success'),
      results: Type.Array(sqlResultSchema),
      took: Type.Number(),
      error: Type.Optional(Type.Null()),
    }),
    Type.Object({ status: oneOf('error'), results: Type.Array(sqlResultSchema), took: Type.Number(), error: sqlErrorBodySchema }),
  ]),
);

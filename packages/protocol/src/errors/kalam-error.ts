import { EDGE_ERRORS } from './edge-errors.ts';
import type { ErrorSpec } from './error-spec.ts';
import { MACHINE_ERRORS } from './machine-errors.ts';
import { NAME_ERRORS } from './name-errors.ts';
import { REQUEST_ERRORS } from './request-errors.ts';
import { STATEMENT_ERRORS } from './statement-errors.ts';
import { STORE_ERRORS } from './store-errors.ts';
import { TRANSACTION_ERRORS } from './transaction-errors.ts';

type ErrorTable = typeof STATEMENT_ERRORS &
  typeof NAME_ERRORS &
  typeof TRANSACTION_ERRORS &
  typeof REQUEST_ERRORS &
  typeof EDGE_ERRORS &
  typeof STORE_ERRORS &
  typeof MACHINE_ERRORS;

/** Every error the product can raise, in one table. The tests count them and check that each is documented. */
export const ERRORS: ErrorTable = {
  ...STATEMENT_ERRORS,
  ...NAME_ERRORS,
  ...TRANSACTION_ERRORS,
  ...REQUEST_ERRORS,
  ...EDGE_ERRORS,
  ...STORE_ERRORS,
  ...MACHINE_ERRORS,
} satisfies Record<string, ErrorSpec>;

/** The name of a row of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

type Placeholders<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholders<Rest> : never;
type Parameters<C extends ErrorCode> = Readonly<Record<Placeholders<ErrorTable[C]['template']>, string | number | bigint>>;

/** Where in a statement's text an error is: 0-based offset, and 1-based line and column of it. */
export interface ErrorPosition {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** The one error class. Everything that is expected to fail fails with a row of the table; anything else is a bug. */
export class KalamError extends Error {
  readonly code: ErrorCode;
  readonly position: ErrorPosition | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; position?: ErrorPosition | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KalamError';
    this.code = code;
    this.position = options.position;
  }

  /** The row of the table. */
  get spec(): ErrorSpec {
    return ERRORS[this.code];
  }
}

/** Makes an error of the table; the parameters are those that its template names. */
export function kalamError<C extends ErrorCode>(
  code: C,
  ...[parameters, options]: [Placeholders<ErrorTable[C]['template']>] extends [never]
    ? [parameters?: Record<string, never>, options?: { cause?: unknown; position?: ErrorPosition | undefined }]
    : [parameters: Parameters<C>, options?: { cause?: unknown; position?: ErrorPosition | undefined }]
): KalamError {
  const values: Readonly<Record<string, string | number | bigint>> = parameters ?? {};
  const message = ERRORS[code].template.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  return new KalamError(code, message, options);
}

/** Errors of SQL requests as such: of forms with parts (wire-protocol 3.2) and of clients that leave. See {@link ErrorSpec} for the members. */
export const REQUEST_ERRORS = {
  CLIENT_GONE: {
    wire: 'SQL_EXECUTION_ERROR',
    status: 400,
    template: 'Execution error: the client closed its connection before the statement had its answer',
    retryable: true,
    visible: true,
    next: 'Run the statement again.',
  },
  FORM_WITHOUT_SQL: {
    wire: 'EMPTY_SQL',
    status: 400,
    template: 'SQL statement is required',
    retryable: false,
    visible: true,
    next: 'Send the statement in the part `sql`.',
  },
  FORM_PARAMETERS: {
    wire: 'INVALID_PARAMETER',
    status: 400,
    template: '{reason}',
    retryable: false,
    visible: true,
    next: 'Send a JSON array in the part `params`.',
  },
  FILE_TOO_LARGE: {
    wire: 'FILE_TOO_LARGE',
    status: 400,
    template: "File '{name}' exceeds maximum size of {bytesMax} bytes",
    retryable: false,
    visible: true,
    next: 'Send a smaller file.',
  },
  TOO_MANY_FILES: {
    wire: 'TOO_MANY_FILES',
    status: 400,
    template: 'Too many files: maximum {max} allowed',
    retryable: false,
    visible: true,
    next: 'Send fewer files with each statement.',
  },
} as const;

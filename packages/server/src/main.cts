// Log writes, LMDB and password hashing share libuv's pool, which takes its size from the environment at its first use.
// The loader of ES modules is already such a use, so the process starts in this one CommonJS file.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

void import('./process.ts').then(({ runProcess }) => runProcess());

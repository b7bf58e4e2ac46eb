export { type AppendHistory, type AppendStep, type AppendTransaction, isolationViolations } from './list-append.ts';
export { SeededRandom } from './seeded-random.ts';
export { ServerProcess, type ServerProcessOptions } from './server-process.ts';
export { VirtualTime } from './virtual-time.ts';

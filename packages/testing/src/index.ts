export { SCENE_STATEMENTS, SCENE_TABLES, SCENE_USERS, type SceneTable } from './grammar/scene.ts';
export { type GrammarStatement, nextGrammarStatement } from './grammar/statement-grammar.ts';
export { type AppendHistory, type AppendStep, type AppendTransaction, isolationViolations } from './list-append.ts';
export { CALM_WEATHER, type NetworkFault, NetworkProxy, type NetworkProxyOptions, type NetworkWeather } from './network-proxy.ts';
export { SeededRandom } from './seeded-random.ts';
export { ServerProcess, type ServerProcessOptions } from './server-process.ts';
export { type FileReport, playTestFile, type RecordChoice, type RecordFailure, type SqlRunner } from './sqllogictest/play-file.ts';
export type { ResultCell } from './sqllogictest/result-text.ts';
export { VirtualTime } from './virtual-time.ts';

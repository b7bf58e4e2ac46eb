export { type ConfigSources, type LoadedConfig, loadConfig } from './config/load-config.ts';
export type { SettingSpec, SettingValue } from './config/setting.ts';
export { SETTING_NAMES, SETTING_SPECS, type ServerConfig, type SettingName } from './config/settings.ts';
export { createLog, type ServerLog } from './log/log.ts';
export { type RunningServer, type ServerOptions, startServer } from './server.ts';
export { API_VERSION, VERSION } from './version.ts';

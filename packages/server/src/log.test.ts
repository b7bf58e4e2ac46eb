import { describe, expect, it } from 'vitest';
import { loadConfig } from './config/load-config.ts';
import { createLog } from './log.ts';

function linesOf(format: 'json' | 'compact'): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = [];
  const { config } = loadConfig({ environment: { KALAMDB_LOG_FORMAT: format } });
  return { lines, log: createLog(config, { write: (line) => lines.push(line) }) };
}

describe('the log', () => {
  it.each(['json', 'compact'] as const)('says why something failed, under either name of an error (%s)', (format) => {
    for (const name of ['err', 'error']) {
      const { lines, log } = linesOf(format);
      log.warn({ [name]: new Error('no space left') }, 'the hot tier could not be written');
      expect(lines.join('')).toMatch(/the hot tier could not be written[\s\S]*no space left|no space left[\s\S]*the hot tier/);
    }
  });
});

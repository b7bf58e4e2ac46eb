import { StatementError } from '@kalamdb/engine';
import { kalamError } from '@kalamdb/protocol';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../config/load-config.ts';
import type { ServerConfig } from '../config/settings.ts';
import { createLog, type ServerLog } from './log.ts';

function logWith(overrides: Partial<ServerConfig>): ServerLog & { readonly lines: string[] } {
  const lines: string[] = [];
  const { config } = loadConfig({ overrides });
  return { lines, ...createLog(config, { write: (line) => lines.push(line) }) };
}

const FORMATS = ['json', 'compact', 'pretty'] as const;

describe('the log', () => {
  it.each(FORMATS)('says why something failed, under either name of an error (%s)', (format) => {
    for (const name of ['err', 'error']) {
      const { lines, logger } = logWith({ 'logging.format': format });
      logger.warn({ [name]: new Error('the disk refused', { cause: new Error('no space left') }) }, 'the hot tier could not be written');
      for (const text of ['the hot tier could not be written', 'the disk refused', 'no space left']) expect(lines.join('')).toContain(text);
    }
  });

  it.each(FORMATS)('holds no passwords, tokens or texts of statements (%s)', (format) => {
    const { lines, logger, recent } = logWith({ 'logging.format': format });
    const secret = 'zq7Secret9';
    const failure = {
      statement: 1,
      sql: `CREATE USER 'u' WITH PASSWORD '${secret}'`,
      error: kalamError('INTERNAL_ERROR', { reason: 'a bug' }),
    };
    logger.error({ err: new StatementError(failure) }, 'a SQL request failed');
    logger.error({ password: secret, request: { authorization: secret, token: secret } }, 'members');
    logger.error({ err: new Error(`ALTER USER u SET PASSWORD '${secret}' failed`) }, `Authorization: Bearer ${secret}`);
    logger.error(`a token eyJhbGciOi.${secret}.${secret}`);
    logger.error(`a token kdb_0123456789abcdef_${secret}`);
    expect(lines).toHaveLength(5);
    expect(lines.join('')).not.toContain(secret);
    expect(JSON.stringify(recent())).not.toContain(secret);
  });

  it.each(FORMATS)('is whole whatever a text looks like (%s)', (format) => {
    const { lines, logger, recent } = logWith({ 'logging.format': format });
    logger.warn({ reason: "PASSWORD 'that does not end", other: 'Bearer ' }, 'Bearer');
    expect(lines).toHaveLength(1);
    expect(recent()[0]?.message).toBe('Bearer reason=PASSWORD [secret] other=Bearer ');
  });

  it.each(['compact', 'pretty'] as const)('lets nobody write lines of their own, nor speak to the terminal (%s)', (format) => {
    const { lines, logger } = logWith({ 'logging.format': format });
    const forged = '12:00:00.000 INFO  all is well';
    const wild = `x\n${forged}\r\u001b[2J\u009b31m`;
    logger.warn({ statement: wild, list: [wild], err: new Error(wild) }, wild);
    const text = lines.join('').replaceAll('\u001b[33m', '').replaceAll('\u001b[0m', '');
    expect(text.split('\n').filter((line) => line.startsWith('12:00'))).toEqual([]);
    expect(text.match(/[^\P{Cc}\n]/gu)).toBeNull();
  });

  it('keeps the newest lines, a thousand and a MiB of them', () => {
    const { logger, recent } = logWith({ 'logging.log_to_console': false });
    for (let i = 1; i <= 1500; i++) logger.info({ request: `r${i}` }, `line ${i}`);
    expect(recent()).toHaveLength(1000);
    expect(recent().at(-1)).toMatchObject({ level: 'INFO', target: 'r1500', line: 1500 });
    expect(recent().at(-1)?.message).toBe('line 1500 request=r1500');
    for (let i = 0; i < 300; i++) logger.info('x'.repeat(10_000));
    expect(recent().length).toBeLessThan(130);
    expect(recent().at(-1)?.message).toHaveLength(8192);
  });

  it('says only errors when the console is not wanted, and nothing when it is silent', () => {
    const quiet = logWith({ 'logging.log_to_console': false });
    quiet.logger.info('info');
    quiet.logger.error('error');
    expect(quiet.lines.join('')).toMatch(/^[\d:.]+ ERROR error\n$/);
    const silent = logWith({ 'logging.level': 'silent' });
    silent.logger.fatal('fatal');
    expect([silent.lines, silent.recent()]).toEqual([[], []]);
  });
});

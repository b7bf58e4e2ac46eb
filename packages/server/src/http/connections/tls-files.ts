import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type Clock, kalamError, type Timer, type Timers } from '@kalamdb/protocol';
import type { Logger } from 'pino';
import { readNamedFile } from '../../config/config-file.ts';
import type { ServerConfig } from '../../config/settings.ts';

/** How often the files are read again, so that a renewed certificate is taken without a restart. */
const RELOAD_MILLIS = 10_000;
/** Days before the end of a certificate from which on the log says so. */
const EXPIRY_WARNING_DAYS = 14;
const DAY_MILLIS = 86_400_000;

/** The files of `server.tls_cert_file` and `server.tls_key_file`. */
export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
}

/** Certificate chain and key in PEM; they fit together. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Until when the certificate is valid, in milliseconds since 1970. */
  readonly validToMillis: number;
}

/** What the settings name; `undefined`: no TLS. Throws as {@link readTls}. */
export async function configuredTls(
  config: Pick<ServerConfig, 'server.tls_cert_file' | 'server.tls_key_file'>,
): Promise<TlsMaterial | undefined> {
  const cert = config['server.tls_cert_file'];
  const key = config['server.tls_key_file'];
  // That there is no one without the other is a rule of the configuration.
  if (cert === '' || key === '') return undefined;
  return readTls({ cert, key });
}

/**
 * Reads both files. Throws CONFIG_INVALID with what is wrong when one cannot be read, is not PEM, or the key is not the
 * certificate's. A certificate that has expired is taken: clients that trust it anyway go on, and the log says it.
 */
export async function readTls(paths: TlsPaths): Promise<TlsMaterial> {
  const cert = await readPem('server.tls_cert_file', paths.cert);
  const key = await readPem('server.tls_key_file', paths.key);
  const certificate = parsed('server.tls_cert_file', paths.cert, 'certificate', () => new X509Certificate(cert));
  const privateKey: KeyObject = parsed('server.tls_key_file', paths.key, 'private key without a password', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalid(
      `the key in server.tls_key_file ('${paths.key}') does not belong to the certificate in server.tls_cert_file ('${paths.cert}')`,
    );
  }
  parsed('server.tls_cert_file', paths.cert, 'chain of certificates', () => createSecureContext({ cert, key }));
  return { cert, key, validToMillis: Date.parse(certificate.validTo) };
}

/** What {@link TlsFiles} works with. */
export interface TlsFilesOptions {
  readonly paths: TlsPaths;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  /** Called with every new pair of files. */
  apply(material: TlsMaterial): void;
}

/** Watches the files and applies them when both have changed into a pair that fits. The present pair stays until then. */
export class TlsFiles {
  readonly #options: TlsFilesOptions;
  readonly #timer: Timer;
  #present: TlsMaterial;
  #refused = '';
  #warnedMillis = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(material: TlsMaterial, options: TlsFilesOptions) {
    this.#options = options;
    this.#present = material;
    this.#warn();
    this.#timer = options.timers.every(RELOAD_MILLIS, () => void this.reload());
  }

  /** Reads the files again; resolves when what they hold is applied. Files that do not fit are logged, not thrown. */
  reload(): Promise<void> {
    this.#reading ??= this.#reload().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Ends the watching. */
  close(): void {
    this.#timer.cancel();
  }

  async #reload(): Promise<void> {
    const { paths, log, apply } = this.#options;
    try {
      const material = await readTls(paths);
      this.#refused = '';
      if (material.cert !== this.#present.cert || material.key !== this.#present.key) {
        apply(material);
        this.#present = material;
        this.#warnedMillis = Number.NEGATIVE_INFINITY;
        log.info(
          { validTo: new Date(material.validToMillis).toISOString() },
          'the TLS certificate was read again and is used for new connections',
        );
      }
    } catch (error) {
      const text = String(error);
      // While a pair of files is being replaced they do not fit for a moment; and what is wrong is said once.
      if (text !== this.#refused) log.warn({ err: error }, 'the TLS files cannot be used; the certificate from before stays');
      this.#refused = text;
    }
    this.#warn();
  }

  /** Once a day. */
  #warn(): void {
    const { clock, log, paths } = this.#options;
    const now = clock.now();
    const days = (this.#present.validToMillis - now) / DAY_MILLIS;
    if (days > EXPIRY_WARNING_DAYS || now - this.#warnedMillis < DAY_MILLIS) return;
    this.#warnedMillis = now;
    const detail = { file: paths.cert, validTo: new Date(this.#present.validToMillis).toISOString() };
    log.warn(detail, days < 0 ? 'the TLS certificate has expired' : 'the TLS certificate expires soon');
  }
}

async function readPem(setting: string, path: string): Promise<string> {
  return (await readNamedFile(setting, path)).toString('latin1');
}

function parsed<T>(setting: string, path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw invalid(`${setting}: '${path}' holds no ${what} in PEM (${code})`);
  }
}

function invalid(reason: string): Error {
  return kalamError('CONFIG_INVALID', { reason });
}

import { join } from 'node:path';
import { type Clock, KalamError, kalamError, type Random, type Timers } from '@kalamdb/protocol';
import type { FileSystem, HotStore } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { JOBS, type JobRecord, jobRepository } from '../catalog/system-tables/jobs.ts';
import type { JobContext, JobExecutor, JobOutcome } from '../jobs/executor.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import type { BackupManifest } from './backup-manifest.ts';
import { type BackupPlace, backupTarget, openPlace } from './backup-place.ts';
import { BackupThread } from './backup-thread.ts';
import { type BackupParameters, readParameters } from './job-parameters.ts';
import { BackupSource } from './read-backup.ts';
import { prepareDirectory } from './restore-directory.ts';
import { restoreNamespace } from './restore-namespace.ts';
import { takeBackup } from './take-backup.ts';
import { verifyBackup } from './verify-backup.ts';

/** The folder in the data directory where copies of distant objects lie while a namespace is restored. */
const COPIES_FOLDER = 'restore-copies';

/** What backups work with. */
export interface BackupsSources {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly hot: HotStore;
  readonly stores: StorageRegistry;
  /** The data directory and the hot tier's folder in it; `undefined` in memory, where there are no backups. */
  readonly directory: { readonly path: string; readonly hotPath: string } | undefined;
  readonly incarnation: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** Backups and restores of an open database: what begins them, what does them as jobs, and what shows them. */
export class Backups {
  readonly #sources: BackupsSources;
  readonly #threads = new Set<BackupThread>();

  constructor(sources: BackupsSources) {
    this.#sources = sources;
  }

  /** What does the jobs. */
  get executors(): readonly JobExecutor[] {
    const common = { cancellable: true, runningMax: 1, isFinal: isFinal } as const;
    return [
      { ...common, type: 'backup', onRestart: 'resume', run: (job, context) => this.#run(job, context) },
      // What it has prepared is gone or has taken over when the database is opened again.
      { ...common, type: 'restore', onRestart: 'fail', run: (job, context) => this.#run(job, context) },
    ];
  }

  /** Refuses a place before a job is made for it. With `mustExist` there has to be a backup in it, which is answered. */
  async check(written: string, namespace: string | undefined, mustExist: boolean): Promise<BackupManifest | undefined> {
    const target = backupTarget(written, this.#directory().path);
    if (target.kind === 'storage') await this.#sources.stores.store(target.storageId);
    if (!mustExist) return undefined;
    return this.#withPlace({ written, namespace, mustExist: true }, async (place) => (await this.#find(place, namespace)).manifest);
  }

  /** The jobs of backups of a namespace that are known, those of the whole database included; oldest first. */
  jobs(namespace: string): readonly { readonly job: JobRecord; readonly parameters: BackupParameters }[] {
    const { snapshots } = this.#sources.sequencer;
    const jobs = snapshots.read((snapshot) =>
      [...snapshot.view(JOBS, JOBS.partitionFor('')).scan()].flatMap((row) => (row.deleted ? [] : [jobRepository.read(row)])),
    );
    const found = jobs.flatMap((job) => (job.type === 'backup' ? [{ job, parameters: readParameters(job) }] : []));
    const own = found.filter(({ parameters }) => parameters.operation === 'backup' && (parameters.namespace ?? namespace) === namespace);
    return own.sort((a, b) => (a.job.createdAtMicros < b.job.createdAtMicros ? -1 : 1));
  }

  /** Closes the handles on the hot tier: what is being backed up begins anew. */
  async letGo(): Promise<void> {
    for (const thread of this.#threads) await thread.close();
  }

  async #run(job: JobRecord, context: JobContext): Promise<JobOutcome> {
    const parameters = readParameters(job);
    const { operation, place: written, namespace } = parameters;
    const thread = new BackupThread(operation === 'backup' ? this.#directory().hotPath : undefined, this.#sources.timers);
    this.#threads.add(thread);
    try {
      return await this.#withPlace({ written, namespace, mustExist: operation !== 'backup' }, (place) =>
        this.#operate({ job, parameters, place, thread, context }),
      );
    } finally {
      this.#threads.delete(thread);
      await thread.close();
    }
  }

  #operate(work: Work): Promise<JobOutcome> {
    const { operation } = work.parameters;
    switch (operation) {
      case 'backup':
        return this.#backUp(work);
      case 'verify':
        return this.#verify(work);
      case 'restore':
        return work.parameters.namespace === undefined ? this.#restore(work) : this.#restoreNamespace(work, work.parameters.namespace);
      default:
        return operation satisfies never;
    }
  }

  async #backUp({ parameters, place, thread, context }: Work): Promise<JobOutcome> {
    const { namespace, incremental } = parameters;
    const done = await takeBackup({ ...this.#sources, thread }, { place, namespace, incremental }, context);
    const { rows, tables, segments, seq, copiedBytes, chunkBytes } = done;
    const written = copiedBytes + chunkBytes;
    return {
      message: `Backed up ${subject(namespace)} to '${place.name}' as of commit ${seq}: ${tables} tables, ${rows} rows, ${segments} segments, ${written} bytes written`,
    };
  }

  async #verify({ parameters, place, thread, context }: Work): Promise<JobOutcome> {
    const source = await this.#find(place, parameters.namespace);
    const { rows, segments, bytes } = await verifyBackup(source, { thread, files: this.#sources.files, run: context });
    return { message: `The backup in '${place.name}' is as it was written: ${rows} hot rows, ${segments} segments, ${bytes} bytes` };
  }

  async #restore({ place, thread, context }: Work): Promise<JobOutcome> {
    const { catalog, files, random, timers } = this.#sources;
    const source = await this.#find(place, undefined);
    const storage = (id: string): ReturnType<Catalog['storage']> => catalog.storage(id);
    const restore = { source, directory: this.#directory().path, thread, files, random, timers, storage };
    const { rows, segments, seq } = await prepareDirectory(restore, context);
    return { message: `Restored commit ${seq}: ${rows} hot rows, ${segments} segments. It takes over when the server is restarted` };
  }

  async #restoreNamespace({ job, place, thread, context }: Work, namespace: string): Promise<JobOutcome> {
    const folder = join(this.#directory().path, COPIES_FOLDER);
    const source = await this.#find(place, namespace);
    try {
      const { tables, rows, segments, finish } = await restoreNamespace(
        { ...this.#sources, source, namespace, jobId: job.jobId, thread, folder },
        context,
      );
      return { message: `Restored namespace '${namespace}': ${tables} tables, ${rows} hot rows, ${segments} segments`, finish };
    } finally {
      await this.#removeCopies(folder);
    }
  }

  async #removeCopies(folder: string): Promise<void> {
    const { files } = this.#sources;
    for (const name of await files.list(folder)) {
      await files.remove(join(folder, name)).catch(() => undefined); // the next restore writes over it
    }
    await files.removeDirectory(folder).catch(() => false);
  }

  /** A namespace is found in a backup of its own, or in one of the whole database. */
  async #find(place: BackupPlace, namespace: string | undefined): Promise<BackupSource> {
    const own = await BackupSource.find(place);
    if (own !== undefined) return own;
    const whole =
      namespace === undefined ? undefined : await BackupSource.find({ ...place, prefix: place.prefix.slice(0, -namespace.length - 1) });
    if (whole !== undefined) return whole;
    throw kalamError('BACKUP_MISSING', { what: subject(namespace), place: place.name });
  }

  async #withPlace<T>(
    { written, namespace, mustExist }: { readonly written: string; readonly namespace: string | undefined; readonly mustExist: boolean },
    work: (place: BackupPlace) => Promise<T>,
  ): Promise<T> {
    const { stores, incarnation: owner, files, random } = this.#sources;
    const place = await openPlace(written, { namespace, mustExist }, { stores, directory: this.#directory().path, owner, files, random });
    try {
      return await work(place);
    } finally {
      await place.close();
    }
  }

  #directory(): { readonly path: string; readonly hotPath: string } {
    const { directory } = this.#sources;
    if (directory === undefined)
      throw kalamError('INVALID_OPERATION', { reason: 'a database in memory is neither backed up nor restored' });
    return directory;
  }
}

interface Work {
  readonly job: JobRecord;
  readonly parameters: BackupParameters;
  readonly place: BackupPlace;
  readonly thread: BackupThread;
  readonly context: JobContext;
}

/** Errors that trying again does not help against. */
function isFinal(error: unknown): boolean {
  return error instanceof KalamError && error.code !== 'INTERNAL_ERROR' && !error.spec.retryable;
}

function subject(namespace: string | undefined): string {
  return namespace === undefined ? 'the database' : `namespace '${namespace}'`;
}

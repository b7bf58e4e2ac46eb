import { kalamError } from '@kalamdb/protocol';
import { type HotReader, type HotSnapshot, openLmdbReader } from '@kalamdb/storage';
import { type BackupAnswer, type BackupCall, type BackupStart, type ReadChunk, sentFailure } from './backup-messages.ts';
import { BackupReader } from './backup-reader.ts';
import { checkChunk } from './chunk-check.ts';

/** How long the view of a backup may be read: what its database has written over meanwhile takes room. */
const BACKUP_VIEW_MILLIS_MAX: number = 30 * 60_000;

type Reply = (answer: BackupAnswer, transfer: ArrayBuffer[]) => void;

/** What runs in the thread of a backup. */
export class BackupSession {
  readonly #hotPath: string | undefined;
  readonly #reply: Reply;
  #hot: HotReader | undefined;
  #view: { readonly snapshot: HotSnapshot; readonly reader: BackupReader; readonly chunks: Iterator<ReadChunk> } | undefined;

  constructor({ hotPath }: BackupStart, reply: Reply) {
    this.#hotPath = hotPath;
    this.#reply = reply;
  }

  /** Does what it is asked and answers. */
  handle(call: Exclude<BackupCall, { kind: 'close' }>): void {
    try {
      const answer = this.#answer(call);
      const sent = answer.kind === 'chunk' || answer.kind === 'checked' ? answer.chunk.bytes : undefined;
      this.#reply(answer, sent === undefined ? [] : [sent.buffer]);
    } catch (error) {
      this.#end();
      this.#reply(sentFailure(error), []);
    }
  }

  async close(): Promise<void> {
    this.#end();
    await this.#hot?.close();
  }

  #answer(call: Exclude<BackupCall, { kind: 'close' }>): BackupAnswer {
    switch (call.kind) {
      case 'open':
        return this.#open(call.namespace);
      case 'next':
        return this.#next();
      case 'end':
        this.#end();
        return { kind: 'ended' };
      case 'check':
        return { kind: 'checked', chunk: checkChunk(call.chunk) };
      default:
        return call satisfies never;
    }
  }

  #open(namespace: string | undefined): BackupAnswer {
    if (this.#hotPath === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'there is no hot tier to read' });
    this.#end();
    this.#hot ??= openLmdbReader(this.#hotPath, { viewMillisMax: BACKUP_VIEW_MILLIS_MAX });
    const snapshot = this.#hot.snapshot();
    try {
      const reader = new BackupReader(snapshot, namespace);
      this.#view = { snapshot, reader, chunks: reader.chunks() };
      return { kind: 'opened', seq: reader.seq };
    } catch (error) {
      snapshot.close();
      throw error;
    }
  }

  #next(): BackupAnswer {
    const view = this.#view;
    if (view === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'there is no view to read' });
    const step = view.chunks.next();
    if (step.done !== true) return { kind: 'chunk', chunk: step.value };
    const tables = view.reader.tables();
    this.#end();
    return { kind: 'tables', tables };
  }

  #end(): void {
    const view = this.#view;
    this.#view = undefined;
    view?.chunks.return?.();
    view?.snapshot.close();
  }
}

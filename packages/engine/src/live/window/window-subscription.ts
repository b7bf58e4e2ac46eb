import { kalamError } from '@kalamdb/protocol';
import type { RowVersion } from '../../contract.ts';
import type { CommitListener } from '../commit-endings.ts';
import { batchControl, type SharedBody } from '../frame.ts';
import { BATCH_CHARS_MAX } from '../initial-load.ts';
import type { QueryGroup } from '../query-group.ts';
import {
  Subscription,
  type SubscriptionHost,
  type SubscriptionRequest,
  type SubscriptionState,
  type Withholding,
} from '../subscription.ts';
import type { LiveWindow, WindowMember } from './live-window.ts';
import type { WindowImage } from './window-image.ts';

/** The frames that lead to what the client is going to have, and how many of them were delivered. */
interface Script {
  readonly bodies: readonly SharedBody[];
  /** Every change at or below it is in them. */
  readonly seq: bigint;
  next: number;
}

/** A batch before it is delivered. */
interface Page {
  readonly rows: readonly string[];
  readonly lastSeq: bigint | undefined;
  readonly hasMore: boolean;
}

/**
 * A live query with a LIMIT. While it is behind it remembers which image of the window its client has, and when it goes on its client gets the
 * difference to the present one. An image that there is no room to remember is sent whole again.
 */
export class WindowSubscription extends Subscription implements WindowMember, CommitListener {
  readonly #batchRowsMax: number;
  #window: LiveWindow;
  #state: SubscriptionState = 'loading';
  /** What the client has, or will when the script is done and the batches are sent; `undefined`: the window has to be sent whole. */
  #client: WindowImage | undefined;
  #isHeld = false;
  #script: Script | undefined;
  /** Rows of the image that were sent in batches. */
  #position = 0;
  #batchNum = 0;
  #batchInProgress = false;
  #isAcknowledged = false;
  #isPerforming = false;
  /** The last frame has not brought the client to the end of a commit. */
  #isWithin = false;
  /** The commit up to which its client was last told something. */
  #toldSeq = 0n;
  #imageWaiters: (() => void)[] = [];

  constructor(host: SubscriptionHost, request: SubscriptionRequest) {
    super(host, request);
    const { mode, group } = request;
    this.#batchRowsMax = 'batchRowsMax' in mode ? mode.batchRowsMax : Number.POSITIVE_INFINITY;
    this.#window = windowOf(host, group);
  }

  get state(): SubscriptionState {
    return this.#state === 'live' && !this.#isCurrent ? 'behind' : this.#state;
  }

  get toldSeq(): bigint | undefined {
    if (this.#state !== 'live' && this.#state !== 'behind') return undefined;
    return this.#isCurrent ? this.host.dispatchedSeq : this.#toldSeq;
  }

  withheld({ key }: RowVersion): Withholding | undefined {
    return this.#client?.rows.some(({ row }) => row.key === key) === true ? undefined : 'OUTSIDE_WINDOW';
  }

  async start(): Promise<void> {
    this.#window.join(this);
    await this.#orEnd(() => this.#sendWhole());
  }

  async nextBatch(lastSeq: bigint | undefined): Promise<void> {
    if (this.#batchInProgress) throw kalamError('BATCH_IN_PROGRESS', { id: this.id });
    if (this.#state === 'loading' && this.host.paused) await this.host.flowing();
    if (this.#state === 'ended') return;
    await this.#orEnd(async () => {
      const image = this.detached ? undefined : this.#client;
      if (lastSeq === undefined || (this.#state === 'loading' && image === undefined)) {
        await this.#sendWhole();
        return;
      }
      this.#batchNum += 1;
      if (this.#state === 'loading' && image !== undefined) this.#deliverPage(image, this.#page(image));
      // Behind the load there is nothing to fetch.
      else this.#deliverBatch({ rows: [], lastSeq: undefined, hasMore: false }, this.#isWithin);
    });
  }

  windowMoved(): void {
    this.#wakeImageWaiters();
    if (this.#state === 'live') this.#state = 'behind';
    this.wake();
  }

  fallBehind(): void {
    if (this.#state !== 'live') return;
    if (this.#isCurrent) this.#toldSeq = this.host.dispatchedSeq;
    this.#state = 'behind';
    this.#keepImage();
  }

  miss(): void {
    this.#window.miss();
    this.#wakeImageWaiters();
  }

  commitEnded(): void {
    this.#wakeImageWaiters();
  }

  override detach(): void {
    super.detach();
    this.#forgetImage();
    this.#window.leave(this);
  }

  override attach(group: QueryGroup): void {
    this.#window = windowOf(this.host, group);
    this.#window.join(this);
    super.attach(group);
    this.#wakeImageWaiters();
  }

  wake(): void {
    if (this.#isPerforming) return;
    try {
      // The last frame of a script may fill the connection.
      while (this.#isAwake() && this.#perform() && this.#isAwake()) {
        const { image } = this.#window;
        if (image === undefined) break;
        if (this.#client === undefined) {
          this.host.counters.windowResends += 1;
          this.#sendWhole().catch((error: unknown) => this.fail(error));
        } else if (this.#client !== image) this.#follow(this.#client, image);
        else {
          // The window holds it.
          this.#letGo();
          this.#state = 'live';
        }
      }
      // It waits for the rows, or for its client: the window may go on meanwhile.
      if (this.#state === 'behind') this.#keepImage();
    } catch (error) {
      this.fail(error);
    }
  }

  progress(): void {
    const { dispatchedSeq, sink } = this.host;
    if (!this.#isCurrent || dispatchedSeq <= this.#toldSeq) return;
    this.#toldSeq = dispatchedSeq;
    sink.deliver({ kind: 'progress', subscriptionId: this.id, seq: dispatchedSeq });
  }

  protected leave(): void {
    this.#state = 'ended';
    this.#forgetImage();
    this.#window.leave(this);
    this.#wakeImageWaiters();
  }

  /** Its client has what the window shows, and hears when that moves. */
  get #isCurrent(): boolean {
    return this.#state === 'live' && !this.detached && this.#client === this.#window.image;
  }

  #isAwake(): boolean {
    return this.#state === 'behind' && !this.host.paused && !this.detached;
  }

  /** From now on its client is on the way from one image to another. */
  #follow(image: WindowImage, next: WindowImage): void {
    if (this.#isHeld) this.host.counters.windowCatchUps += 1;
    const bodies = this.#window.scriptFrom(image);
    this.#forgetImage();
    this.#client = next;
    this.#script = { bodies, seq: this.host.dispatchedSeq, next: 0 };
  }

  /** Delivers what is left of the script; `false` when it is stopped before the end. */
  #perform(): boolean {
    const script = this.#script;
    if (script === undefined) return true;
    this.#isPerforming = true;
    try {
      for (let body = script.bodies[script.next]; body !== undefined; body = script.bodies[script.next]) {
        script.next += 1;
        this.#isWithin = script.next < script.bodies.length;
        this.deliverChange(body, this.#isWithin);
        if (script.next < script.bodies.length && !this.#isAwake()) return false;
      }
    } finally {
      this.#isPerforming = false;
    }
    this.#toldSeq = script.seq;
    this.#script = undefined;
    return true;
  }

  /** Sends the present image from its first row on; first the acknowledgement, when there was none. */
  async #sendWhole(): Promise<void> {
    this.#batchInProgress = true;
    this.#state = 'loading';
    this.#forgetImage();
    try {
      if (this.host.paused) await this.host.flowing();
      this.#window.refresh();
      const image = await this.#presentImage();
      if (image === undefined) return;
      this.#toldSeq = this.host.dispatchedSeq;
      this.#batchInProgress = false;
      this.#batchNum = 0;
      this.#position = 0;
      const page = this.#page(image);
      if (!this.#isAcknowledged) this.#acknowledge(page);
      this.#deliverPage(image, page);
    } finally {
      this.#batchInProgress = false;
    }
  }

  /** What fails ends the subscription; what has ended fails no more. */
  async #orEnd(load: () => Promise<void>): Promise<void> {
    try {
      await load();
    } catch (error) {
      const ended = this.#isEnded();
      this.end();
      if (!ended) throw error;
    }
  }

  /** What the window shows, as soon as that is not older than what a query would answer now; `undefined` when the subscription has ended. */
  async #presentImage(): Promise<WindowImage | undefined> {
    const { watermark } = this.host.sources.commits;
    while (!this.#isEnded()) {
      if (this.detached) await this.attached();
      const { image } = this.#window;
      if (this.#isEnded()) return undefined;
      if (image !== undefined) {
        if (watermark <= this.#window.readSeq || watermark <= this.host.dispatchedSeq) return image;
        this.host.endings.wait(this);
      }
      await new Promise<void>((resolve) => this.#imageWaiters.push(resolve));
    }
    return undefined;
  }

  /** The next rows of an image. Throws CONVERSION_ERROR. */
  #page({ rows }: WindowImage): Page {
    const texts: string[] = [];
    let chars = 0;
    let last: WindowImage['rows'][number] | undefined;
    for (let next = rows[this.#position]; next !== undefined; next = rows[this.#position]) {
      if (texts.length >= this.#batchRowsMax || chars >= BATCH_CHARS_MAX) break;
      const text = this.#window.rowText(next);
      texts.push(text);
      chars += text.length;
      last = next;
      this.#position += 1;
    }
    return { rows: texts, lastSeq: last?.row.seq, hasMore: this.#position < rows.length && this.#batchRowsMax > 0 };
  }

  #acknowledge({ hasMore, lastSeq }: Page): void {
    this.#isAcknowledged = true;
    const { limit } = this.#window.bounds;
    const { schema } = this.group.encoder;
    this.host.sink.deliver({ kind: 'ack', subscriptionId: this.id, control: batchControl(0, hasMore, lastSeq), schema, limit });
  }

  #deliverPage(image: WindowImage, page: Page): void {
    if (this.#isEnded()) return;
    // A batch that may hold no rows leaves them all to changes.
    const isLeftOut = !page.hasMore && this.#position < image.rows.length;
    this.#client = isLeftOut ? this.#window.emptyImage() : image;
    if (page.hasMore && !this.#holdImage()) throw kalamError('WINDOWS_FULL');
    this.#deliverBatch(page, isLeftOut);
    if (page.hasMore || this.#isEnded()) return;
    this.#state = 'behind';
    this.wake();
  }

  #deliverBatch({ rows, lastSeq, hasMore }: Page, more: boolean): void {
    const control = batchControl(this.#batchNum, hasMore, lastSeq);
    this.#isWithin = more;
    this.deliverBatch(control, rows, more && this.host.tellsEndings);
  }

  /** Holds what the client has, or will have it sent whole. */
  #keepImage(): void {
    if (this.#holdImage()) return;
    this.#forgetImage();
    this.#script = undefined;
  }

  /** Whether it is held. */
  #holdImage(): boolean {
    if (!this.#isHeld) this.#isHeld = this.#client?.hold() ?? false;
    return this.#isHeld;
  }

  #letGo(): void {
    if (this.#isHeld) this.#client?.drop();
    this.#isHeld = false;
  }

  #forgetImage(): void {
    this.#letGo();
    this.#client = undefined;
    this.#script = undefined;
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  #wakeImageWaiters(): void {
    const waiters = this.#imageWaiters;
    this.#imageWaiters = [];
    for (const wake of waiters) wake();
  }
}

function windowOf(host: SubscriptionHost, group: QueryGroup): LiveWindow {
  const window = host.windows.of(group);
  if (window === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a query without a LIMIT has no window' });
  return window;
}

import { mayLearn, type Planted, type Receiver } from './access-model.ts';

/** Texts and numbers that stand nowhere else: `zqm` and six digits of base 36, and 91 with sixteen decimal digits. */
const MARKERS = /zqm([0-9a-z]{6})x|91(\d{16})/gi;
/** Leaks that are kept for the report. */
const LEAKS_KEPT_MAX = 20;

/** Every value that was planted, each once, and what was seen of them. */
export class Markers {
  readonly #planted: Planted[] = [];
  readonly leaks: string[] = [];
  /** Bytes that were looked through, by road. */
  readonly scanned: Map<string, number> = new Map();
  /** Values that reached somebody who may have them. */
  seen = 0;

  /** A new value as a text. */
  text(planted: Planted): string {
    return `zqm${this.#add(planted).toString(36).padStart(6, '0')}x`;
  }

  /** A new value as a whole number. */
  number(planted: Planted): string {
    return `91${String(this.#add(planted)).padStart(16, '0')}`;
  }

  /** Notes what somebody received: every value in it must be for them. */
  scan(receiver: Receiver, road: string, bytes: string): void {
    this.scanned.set(road, (this.scanned.get(road) ?? 0) + bytes.length);
    for (const [marker, text, number] of bytes.matchAll(MARKERS)) {
      const planted = this.#planted[text === undefined ? Number(number) : Number.parseInt(text, 36)];
      if (planted === undefined) continue;
      if (mayLearn(receiver, planted)) this.seen += 1;
      else if (this.leaks.length < LEAKS_KEPT_MAX) {
        const at = bytes.indexOf(marker);
        const around = bytes.slice(Math.max(0, at - 200), at + 100);
        this.leaks.push(`${road}: ${receiver.name} (${receiver.role}) was told ${marker}, ${JSON.stringify(planted)}: …${around}…`);
      }
    }
  }

  #add(planted: Planted): number {
    return this.#planted.push(planted) - 1;
  }
}

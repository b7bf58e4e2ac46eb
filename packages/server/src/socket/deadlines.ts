import type { Clock, Timer, Timers } from '@kalamdb/protocol';

/** Milliseconds from one slot to the next: how late a deadline may be noticed. */
const TICK_MILLIS = 100;
/** Slots of the wheel; a deadline further away than a turn, 51.2 s, is passed over until it is due. */
const SLOTS = 512;
/** Deadlines that are handled in one turn of the event loop; those beyond have theirs a tick later. */
const HANDLED_MAX = 1000;

/** A time by which something is to be looked at; set and cancelled as often as one likes. */
export interface Deadline {
  /** Due in so many milliseconds, and not at the time set before. */
  set(millis: number): void;
  cancel(): void;
}

/**
 * The deadlines of all connections in one hashed wheel (Varghese and Lauck, 1987) with one timer: setting and cancelling cost the same
 * however many there are, and a tick costs what is due in it.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #slots: readonly Set<WheelDeadline>[] = Array.from({ length: SLOTS }, () => new Set());
  /** The last tick that was worked on. */
  #tick: number;

  constructor({ clock, timers }: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = clock;
    this.#tick = tickOf(clock.elapsed());
    this.#timer = timers.every(TICK_MILLIS, () => this.#advance());
  }

  /** Makes a deadline that is not set; `onDue` is called once each time that it has come. */
  add(onDue: () => void): Deadline {
    return new WheelDeadline(this, onDue);
  }

  /** Nothing is due any more. */
  stop(): void {
    this.#timer.cancel();
    for (const slot of this.#slots) slot.clear();
  }

  /** Puts a deadline where it is due; answers the tick. The deadline's own. */
  place(deadline: WheelDeadline, millis: number): number {
    const tick = Math.max(this.#tick, tickOf(this.#clock.elapsed() + millis)) + 1;
    this.#slotOf(tick).add(deadline);
    return tick;
  }

  /** Takes a deadline out again. The deadline's own. */
  remove(deadline: WheelDeadline, tick: number): void {
    this.#slotOf(tick).delete(deadline);
  }

  #slotOf(tick: number): Set<WheelDeadline> {
    const slot = this.#slots[tick % SLOTS];
    if (slot === undefined) throw new RangeError(`no slot for tick ${tick}`);
    return slot;
  }

  #advance(): void {
    const now = tickOf(this.#clock.elapsed());
    let left = HANDLED_MAX;
    // After a pause of more than a turn every slot is visited once.
    for (this.#tick = Math.max(this.#tick, now - SLOTS); this.#tick < now && left > 0; ) {
      for (const deadline of this.#slotOf(this.#tick + 1)) {
        if (deadline.tick > now) continue;
        if (left === 0) return;
        left -= 1;
        deadline.fire();
      }
      this.#tick += 1;
    }
  }
}

/** One member of the wheel. */
class WheelDeadline implements Deadline {
  readonly #wheel: Deadlines;
  readonly #onDue: () => void;
  /** When it is due; 0: it is not set. */
  tick = 0;

  constructor(wheel: Deadlines, onDue: () => void) {
    this.#wheel = wheel;
    this.#onDue = onDue;
  }

  set(millis: number): void {
    this.cancel();
    this.tick = this.#wheel.place(this, millis);
  }

  cancel(): void {
    if (this.tick > 0) this.#wheel.remove(this, this.tick);
    this.tick = 0;
  }

  fire(): void {
    this.cancel();
    this.#onDue();
  }
}

function tickOf(millis: number): number {
  return Math.floor(millis / TICK_MILLIS);
}

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answer, Order, Report } from './orders.ts';

/** Subscribers in a process of their own. Every order rejects when an event came twice, out of order, unasked for or not at all. */
export class Subscribers {
  readonly #child: ChildProcess;
  #answered: ((answer: Answer) => void) | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (answer: Answer) => this.#answered?.(answer));
    child.on('exit', (code) => this.#answered?.({ error: `the subscribers have ended: ${code}` }));
  }

  /** Gives `work` such a process for as long as it takes. */
  static async with<T>(work: (subscribers: Subscribers) => Promise<T>): Promise<T> {
    const child = fork(join(import.meta.dirname, 'subscriber-program.js'), { serialization: 'advanced' });
    const ended = once(child, 'exit');
    try {
      return await work(new Subscribers(child));
    } finally {
      if (child.connected) child.disconnect();
      await ended;
    }
  }

  /** Has an order carried out; one at a time. */
  async order(order: Order): Promise<Report> {
    const answered = new Promise<Answer>((resolve) => {
      this.#answered = resolve;
    });
    this.#child.send(order);
    const answer = await answered;
    if ('error' in answer) throw new Error(answer.error);
    return answer.report;
  }
}

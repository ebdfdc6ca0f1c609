import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ask, dismiss, pidOf } from '../child.ts';
import { cpuOf } from '../processes.ts';
import type { Work } from '../work.ts';
import { type BareOrder, bareReplySchema } from './bare-messages.ts';
import type { Sample, Subject } from './subject.ts';

/** How many tasks at once the bare loop tries before it is measured. */
export const TRIED: readonly number[] = [2, 3, 4, 6, 8];
/** The share of a round's tasks with which it tries each. */
const TRIED_SHARE = 0.5;

/** The bare loop in a process of its own, with the number of tasks at once that is fastest for the work. */
export class Bare implements Subject {
  readonly name = 'bare loop';
  readonly #child: ChildProcess;
  readonly #tried: readonly number[];
  /** By the name of the work. */
  readonly #best = new Map<string, number>();

  /** `tried`: the numbers of tasks at once of which it chooses. */
  constructor(model: string | null, tried: readonly number[] = TRIED) {
    const script = fileURLToPath(new URL('./bare-loop.js', import.meta.url));
    // As many threads as tasks at once: libuv's four would bound them.
    const env = { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(...tried)) };
    this.#child = fork(script, [model ?? ''], { env });
    this.#tried = tried;
  }

  async measure(work: Work, count: number): Promise<Sample> {
    const atOnce = await this.#bestAtOnce(work, count);
    const pids = [pidOf(this.#child)];
    const before = cpuOf(pids);
    const seconds = await this.run(work, count, atOnce);
    return { cpuMs: (cpuOf(pids) - before) / count, tasksPerSecond: count / seconds };
  }

  /** Does `count` tasks, `atOnce` of them at any time. Resolves with the seconds that took. */
  async run({ tasks }: Work, count: number, atOnce: number): Promise<number> {
    const order: BareOrder = {
      tasks: tasks.map(({ picture, outputs }) => ({ picture, outputs: [...outputs] })),
      count,
      atOnce,
    };
    const reply = bareReplySchema.parse(await ask(this.#child, order));
    if (reply.kind === 'failed') throw new Error(`The bare loop failed: ${reply.message}`);
    return reply.seconds;
  }

  close(): Promise<void> {
    return dismiss(this.#child);
  }

  async #bestAtOnce(work: Work, count: number): Promise<number> {
    const known = this.#best.get(work.name);
    if (known !== undefined) return known;
    const tried = Math.ceil(count * TRIED_SHARE);
    let best = { atOnce: 1, seconds: Number.POSITIVE_INFINITY };
    for (const atOnce of this.#tried) {
      const seconds = await this.run(work, tried, atOnce);
      if (seconds < best.seconds) best = { atOnce, seconds };
    }
    this.#best.set(work.name, best.atOnce);
    return best.atOnce;
  }
}

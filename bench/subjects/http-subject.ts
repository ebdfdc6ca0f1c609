import { setTimeout as sleep } from 'node:timers/promises';
import type { Load, Traffic } from '../load/load.ts';
import type { LoadRequest } from '../load/messages.ts';
import { cpuOf } from '../processes.ts';
import type { Work } from '../work.ts';
import type { Sample, Subject } from './subject.ts';

/** Uploads under way at any time. */
const UPLOADS_AT_ONCE = 8;
/** Milliseconds after the last answer in which a service ends what it does for it, such as removing an input. */
const SETTLE_MS = 100;

/** A service that takes pictures over HTTP. */
export abstract class HttpSubject implements Subject {
  abstract readonly name: string;
  /** Such as `http://127.0.0.1:5454`. */
  abstract readonly origin: string;
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
  }

  /** The requests that upload each task's picture, each answered when its outputs are made. */
  abstract requestsOf(work: Work): Promise<LoadRequest[]>;
  /** Ids of all processes of the service. */
  abstract pids(): number[];
  abstract close(): Promise<void>;

  /** The uploads of the work, as many at any time as saturate the service. */
  async trafficOf(work: Work): Promise<Traffic> {
    return { origin: this.origin, requests: await this.requestsOf(work), atOnce: UPLOADS_AT_ONCE };
  }

  async measure(work: Work, count: number): Promise<Sample> {
    const pids = this.pids();
    const traffic = await this.trafficOf(work);
    const before = cpuOf(pids);
    const { seconds } = await this.#load.run(traffic, count);
    await sleep(SETTLE_MS);
    return { cpuMs: (cpuOf(pids) - before) / count, tasksPerSecond: count / seconds };
  }
}

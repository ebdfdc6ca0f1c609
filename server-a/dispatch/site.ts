import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { LaneTiming } from '../../shared/wire/lane.ts';
import { AttemptEnds } from './attempt-ends.ts';
import type { BackOff } from './back-off.ts';
import type { TaskRecords } from './contract.ts';
import { type Backend, Lanes } from './lanes.ts';
import type { Load, Schedule } from './schedule.ts';
import { trace } from './trace.ts';
import type { Answer } from './verdict.ts';

export interface SiteOptions {
  readonly backend: Backend;
  readonly records: TaskRecords;
  readonly schedule: Schedule;
  readonly backOff: BackOff;
  readonly token: string | undefined;
  readonly timing: LaneTiming;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when an instance has answered and the attempts in doubt are settled: another task may start. */
  ready(): void;
}

/** One Server B as the dispatcher uses it: its lanes, the tasks that run on it, and its attempts in doubt. */
export class Site {
  readonly lanes: Lanes;
  readonly ends: AttemptEnds;
  readonly #options: SiteOptions;
  /** Tasks that run here, until their attempts are settled. */
  running = 0;

  constructor(options: SiteOptions) {
    const { backend, records, schedule, backOff, token, timing, clock, log } = options;
    this.#options = options;
    this.ends = new AttemptEnds({ records, schedule, backOff, log });
    this.lanes = new Lanes({
      backend,
      token,
      files: records,
      log,
      timing,
      clock,
      answered: (answer) => this.#answered(answer),
    });
  }

  get load(): Load {
    return { running: this.running, inDoubt: this.ends.inDoubt, openLanes: this.lanes.openCount };
  }

  /** True while an attempt runs here or is in doubt. */
  get isBusy(): boolean {
    return this.running > 0 || this.ends.inDoubt > 0;
  }

  /** Settles attempts in doubt, because an instance of Server B answered on a lane. */
  #answered(answer: Answer): void {
    const { backOff, log, ready } = this.#options;
    trace('dispatch', 'hears from instance', answer.instance);
    this.ends
      .settleDoubts(answer)
      .catch((error: unknown) => {
        log.error({ err: error }, 'attempts in doubt could not be settled');
        backOff.pause('jobs in doubt could not be settled');
      })
      .finally(ready);
  }
}

import { connect } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { DarkroomError, type ErrorDescription } from '../../shared/errors.ts';
import type { Timings } from '../../shared/task.ts';
import { Watchdog } from '../../shared/watchdog.ts';
import { PROTOCOL_VERSION } from '../../shared/wire/frame.ts';
import { Lane, type LaneTiming } from '../../shared/wire/lane.ts';
import type { Message } from '../../shared/wire/messages.ts';
import type { Attempt } from './attempt.ts';
import type { Job, JobFiles } from './contract.ts';
import { OutputReceiver } from './output-receiver.ts';

/** Milliseconds for connecting and greeting together. */
const GREETING_MS = 2000;
/**
 * Milliseconds added to a job's deadline. A lane is closed when Server B sends only BEAT, and nothing of the job's
 * outcome, for that long.
 */
const OVERDUE_MS = 10_000;
/** Bytes of an input that are read at once, which become one DATA frame. */
const PIECE_BYTES = 256 * 1024;

/** How an attempt ended, as its lane sees it. */
export type JobOutcome =
  /** The outputs are received, not yet durable. */
  | {
      readonly kind: 'done';
      readonly outputs: Pick<OutputReceiver, 'commit' | 'discard'>;
      readonly timings: Timings;
      readonly warnings?: readonly string[];
    }
  /** Server B refused the job, which is never a strike. */
  | { readonly kind: 'refused'; readonly error: ErrorDescription }
  /** Server B accepted the job and the job failed. */
  | { readonly kind: 'failed'; readonly error: ErrorDescription }
  /** The lane was lost first. If the job was past GO, it may have crashed Server B. */
  | { readonly kind: 'lost'; readonly instance: string; readonly isPastGo: boolean }
  /** Server A failed: it could not write an output or read the input. */
  | { readonly kind: 'stopped'; readonly error: unknown }
  | { readonly kind: 'canceled' };

export interface LaneClientOptions {
  readonly token: string | undefined;
  readonly files: JobFiles;
  readonly timing: LaneTiming;
  readonly clock: Clock;
  /** Called at the greeting and when Server B changes what it offers. */
  welcomed(lane: LaneClient, welcome: Message<'WELCOME'>): void;
  /** Called when the lane is closed or could not be opened. */
  closed(lane: LaneClient, reason: string): void;
}

/** A job on its lane. */
interface CurrentJob {
  readonly job: Job;
  readonly deadlineMs: number;
  readonly receiver: OutputReceiver;
  readonly settle: (outcome: JobOutcome) => void;
  /** The outcome of the run after Server B has answered CANCEL; null when no CANCEL was sent. */
  stop: JobOutcome | null;
  isPastGo: boolean;
  /** Fires when nothing of the outcome has arrived for too long; runs only while the lane is read. */
  overdue: Watchdog | undefined;
}

/** Server A's side of one lane: greets Server B, then runs one job at a time. */
export class LaneClient {
  readonly #options: LaneClientOptions;
  readonly #lane: Lane;
  readonly #greeting: Watchdog;
  #instance = '';
  #refusal: string | null = null;
  #buffer = Buffer.alloc(0);
  #isReserved = false;
  #current: CurrentJob | null = null;

  constructor(address: { host: string; port: number }, options: LaneClientOptions) {
    this.#options = options;
    this.#lane = new Lane(
      connect(address.port, address.host),
      'a',
      {
        WELCOME: (message) => this.#welcomed(message),
        GO: () => this.#go(),
        REFUSE: (message) => this.#refused(message),
        OUTPUT: (message) => this.#output(message),
        DATA: (piece) => this.#data(piece),
        DONE: (message) => this.#done(message),
        FAIL: (message) => this.#end({ kind: 'failed', error: message }),
        closed: (error) => this.#closed(error),
      },
      options.timing,
      options.clock,
    );
    this.#greeting = new Watchdog(options.clock, GREETING_MS, () => this.#lane.close(noWelcome()));
    this.#lane.send('HELLO', { protocol: PROTOCOL_VERSION, token: options.token ?? '' });
  }

  /** True from the greeting until the lane is closed. */
  get isOpen(): boolean {
    return this.#instance !== '' && !this.#lane.closed;
  }

  /** True when the lane can run a job now. */
  get isFree(): boolean {
    return this.isOpen && this.#current === null && !this.#isReserved;
  }

  /** Keeps the lane for a task whose attempt is being written; `release` undoes it. */
  reserve(): void {
    this.#isReserved = true;
  }

  release(): void {
    this.#isReserved = false;
  }

  /** The instance of Server B that greeted last on this lane. */
  get instance(): string {
    return this.#instance;
  }

  /**
   * Runs one attempt on this reserved lane; a worker may spend `deadlineMs` milliseconds on it. Never rejects: every
   * failure is an outcome.
   */
  run(attempt: Attempt, deadlineMs: number): Promise<JobOutcome> {
    if (this.#lane.closed) return Promise.resolve({ kind: 'lost', instance: this.#instance, isPastGo: false });
    return new Promise((settle) => {
      const current: CurrentJob = {
        job: attempt.job,
        deadlineMs,
        receiver: new OutputReceiver(attempt.job, this.#options.files, {
          pause: () => this.#pause(current),
          resume: () => this.#resume(current),
          failed: (error) => this.#stop(current, { kind: 'stopped', error }),
        }),
        settle,
        stop: null,
        isPastGo: false,
        overdue: undefined,
      };
      this.#current = current;
      this.#offer(attempt, deadlineMs);
    });
  }

  /** Sends CANCEL for the task's job; the run resolves as canceled when Server B has answered. */
  cancel(id: string): void {
    if (this.#current?.job.id === id) this.#stop(this.#current, { kind: 'canceled' });
  }

  /** Closes the lane; a job on it ends as lost. */
  close(): void {
    this.#lane.close(null);
  }

  #welcomed(message: Message<'WELCOME'>): void {
    this.#greeting.stop();
    this.#instance = message.instance;
    this.#options.welcomed(this, message);
  }

  #offer({ job, mode }: Attempt, deadlineMs: number): void {
    try {
      this.#lane.send('JOB', {
        id: job.id,
        attempt: job.attempt,
        outputs: [...job.specs],
        bytes: job.bytes,
        image: job.header,
        deadline_ms: deadlineMs,
        alone: mode === 'alone',
      });
    } catch (error) {
      this.#end({ kind: 'stopped', error });
    }
  }

  #go(): void {
    const current = this.#current;
    if (current === null) return;
    current.isPastGo = true;
    this.#sendBody(current).catch((error: unknown) => this.#stop(current, { kind: 'stopped', error }));
  }

  async #sendBody(current: CurrentJob): Promise<void> {
    const { job } = current;
    const isWanted = () => current.stop === null && this.#current === current;
    let sent = 0;
    for await (const piece of this.#options.files.readInput(job, this.#bufferFor(job))) {
      if (!isWanted()) return;
      sent += piece.length;
      if (sent > job.bytes) break;
      await this.#lane.sendData(piece, isWanted);
    }
    if (!isWanted()) return;
    if (sent !== job.bytes) throw spoolCorrupt(`${job.bytes} bytes`, sent > job.bytes ? 'more' : `${sent}`);
    this.#expectOutcome(current);
  }

  /** The memory that inputs are read into. It grows with the inputs and stays with the lane. */
  #bufferFor({ bytes }: Job): Uint8Array {
    const needed = Math.min(bytes, PIECE_BYTES);
    if (this.#buffer.length < needed) this.#buffer = Buffer.allocUnsafeSlow(needed);
    return this.#buffer;
  }

  /** Starts the timer within which Server B must send more of the outcome. Each output and each piece restarts it. */
  #expectOutcome(current: CurrentJob): void {
    current.overdue?.stop();
    // Server B may send so much output that the lane is paused before Server A knows that the body was sent. No timer
    // runs while the lane is paused; #resume starts it.
    if (this.#lane.isPaused) return;
    const milliseconds = current.deadlineMs + OVERDUE_MS;
    const close = () => this.#lane.close(overdue(milliseconds));
    current.overdue = new Watchdog(this.#options.clock, milliseconds, close);
  }

  #output(message: Message<'OUTPUT'>): void {
    this.#current?.overdue?.feed();
    this.#current?.receiver.begin(message);
  }

  #data(piece: Buffer): void {
    this.#current?.overdue?.feed();
    this.#current?.receiver.data(piece);
  }

  /** Stops reading (backpressure) and the timer: Server B is not late with bytes that are not read. */
  #pause(current: CurrentJob): void {
    this.#lane.pause();
    current.overdue?.stop();
  }

  #resume(current: CurrentJob): void {
    this.#lane.resume();
    if (this.#current === current) this.#expectOutcome(current);
  }

  #refused(message: Message<'REFUSE'>): void {
    if (this.#current === null) this.#refusal = message.message;
    else this.#end({ kind: 'refused', error: message });
  }

  #done(message: Message<'DONE'>): void {
    if (this.#current !== null) {
      const { timings, warnings = [] } = message;
      this.#end({ kind: 'done', outputs: this.#current.receiver, timings, warnings });
    }
  }

  #stop(current: CurrentJob, outcome: JobOutcome): void {
    if (current.stop !== null || this.#current !== current) return;
    current.stop = outcome;
    this.#lane.signal('CANCEL');
  }

  #end(outcome: JobOutcome): void {
    const current = this.#current;
    if (current === null) return;
    this.#current = null;
    current.overdue?.stop();
    const result = current.stop ?? outcome;
    if (result.kind === 'done') {
      current.settle(result);
      return;
    }
    // The files of a failed attempt are removed before its outcome is known.
    current.receiver.discard().then(
      () => current.settle(result),
      (error: unknown) => current.settle({ kind: 'stopped', error }),
    );
  }

  #closed(error: Error | null): void {
    this.#greeting.stop();
    this.#end({ kind: 'lost', instance: this.#instance, isPastGo: this.#current?.isPastGo ?? false });
    this.#options.closed(this, this.#refusal ?? error?.message ?? 'Server B closed the connection');
  }
}

function spoolCorrupt(expected: string, received: string): DarkroomError {
  return new DarkroomError('SPOOL_CORRUPT', `Expected ${expected} for the stored input, received ${received}`);
}

function noWelcome(): DarkroomError {
  return new DarkroomError(
    'BACKEND_UNAVAILABLE',
    `Expected WELCOME from Server B within ${GREETING_MS} ms, received none`,
  );
}

function overdue(milliseconds: number): DarkroomError {
  return new DarkroomError(
    'BACKEND_UNAVAILABLE',
    `Expected more of a job's outcome in ${milliseconds} ms, received none`,
  );
}

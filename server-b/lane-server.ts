import type { Socket } from 'node:net';
import { SYSTEM_CLOCK } from '../shared/clock.ts';
import type { PictureLimits } from '../shared/config.ts';
import { digestOf, matchesDigest } from '../shared/constant-time.ts';
import { jobCost } from '../shared/cost.ts';
import { DarkroomError, describeError, shuttingDown } from '../shared/errors.ts';
import { checkInputLimits, checkOutputLimits } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';
import { Watchdog } from '../shared/watchdog.ts';
import { PROTOCOL_VERSION } from '../shared/wire/frame.ts';
import { LANE_TIMING, Lane, type LaneTiming } from '../shared/wire/lane.ts';
import type { Message } from '../shared/wire/messages.ts';
import type { Budget, Reservation } from './budget.ts';
import { type JobOutcome, timedOut } from './job.ts';
import type { Pool } from './pool.ts';

/** HELLO must come within this many milliseconds of the connection. */
const GREETING_MS = 2000;
/** The instance ends when a worker is still busy this many milliseconds after its deadline. */
const STUCK_MS = 1000;
/** A process that did not run for this many milliseconds at once was stalled. Less is the delay of a busy machine. */
const STALL_MS = 1000;

/** The parts and callbacks that all lanes of one Server B share. */
export interface LaneServerContext {
  readonly pool: Pick<Pool, 'run' | 'hasStalledThread'>;
  readonly budget: Budget;
  readonly limits: PictureLimits;
  readonly token: string | undefined;
  readonly log: Logger;
  readonly timing?: LaneTiming;
  /** The WELCOME with what Server B offers now. */
  welcome(): Message<'WELCOME'>;
  /** True once no new job is accepted. */
  isDraining(): boolean;
  /** A worker is still busy after its deadline, so the instance must end. */
  stuck(jobId: string): void;
  /** The lane is closed. */
  closed(lane: LaneServer): void;
}

/** A job from its offer to its end on the lane. */
interface CurrentJob {
  readonly message: Message<'JOB'>;
  /** Aborted when A cancels, the deadline passes or the lane closes: no further frame is sent for this job. */
  readonly abandoned: AbortController;
  reservation: Reservation | null;
  body: Uint8Array<ArrayBuffer>;
  filled: number;
}

/** Server B's side of one lane: one job at a time, from offer to end. */
export class LaneServer {
  readonly #context: LaneServerContext;
  readonly #lane: Lane;
  readonly #greeting: Watchdog;
  #job: CurrentJob | null = null;
  #mustWelcome = false;

  constructor(socket: Socket, context: LaneServerContext) {
    this.#context = context;
    this.#greeting = new Watchdog(SYSTEM_CLOCK, GREETING_MS, () => this.#lane.close(noGreeting())).unref();
    this.#lane = new Lane(
      socket,
      'b',
      {
        HELLO: (message) => this.#greet(message),
        JOB: (message) => this.#offered(message),
        DATA: (piece) => this.#received(piece),
        CANCEL: () => this.#cancel(),
        closed: (error) => this.#closed(error),
      },
      context.timing ?? LANE_TIMING,
    );
  }

  /** True from the offer of a job to its end. */
  get busy(): boolean {
    return this.#job !== null;
  }

  /** Sends WELCOME again as soon as the lane is idle. */
  announce(): void {
    this.#mustWelcome = true;
    if (this.#lane.state === 'idle') this.#welcome();
  }

  /** Ends the connection after all sent bytes are flushed. */
  end(): void {
    this.#lane.end();
  }

  #greet(hello: Message<'HELLO'>): void {
    this.#greeting.stop();
    const problem = this.#greetingProblem(hello);
    if (problem === null) {
      this.#welcome();
      return;
    }
    this.#context.log.warn({ reason: problem.message }, 'a lane was refused');
    this.#lane.send('REFUSE', describeError(problem));
    this.#lane.end();
  }

  #greetingProblem(hello: Message<'HELLO'>): DarkroomError | null {
    if (hello.protocol !== PROTOCOL_VERSION) {
      return new DarkroomError(
        'BACKEND_UNAVAILABLE',
        `Expected protocol ${PROTOCOL_VERSION}, received ${hello.protocol}`,
      );
    }
    const { token } = this.#context;
    if (token !== undefined && !matchesDigest(digestOf(token), hello.token)) {
      return new DarkroomError('UNAUTHENTICATED', "Expected Server B's token, received another");
    }
    return null;
  }

  #welcome(): void {
    this.#mustWelcome = false;
    this.#lane.send('WELCOME', this.#context.welcome());
  }

  #offered(message: Message<'JOB'>): void {
    const job: CurrentJob = {
      message,
      abandoned: new AbortController(),
      reservation: null,
      body: new Uint8Array(0),
      filled: 0,
    };
    this.#job = job;
    this.#admit(job).catch((error: unknown) => this.#refuse(job, error));
  }

  async #admit(job: CurrentJob): Promise<void> {
    const { bytes, image, outputs, alone } = job.message;
    if (this.#context.isDraining()) throw shuttingDown();
    checkInputLimits(image, this.#context.limits);
    checkOutputLimits(image, outputs, this.#context.limits);
    const claim = { bytes: jobCost(bytes, image, outputs), alone };
    const reservation = await this.#context.budget.reserve(claim, job.abandoned.signal);
    if (job.abandoned.signal.aborted) return reservation.release();
    job.reservation = reservation;
    job.body = allocate(bytes);
    this.#lane.signal('GO');
  }

  #refuse(job: CurrentJob, error: unknown): void {
    if (job.abandoned.signal.aborted) return;
    this.#log(job).warn({ err: error }, 'a job was refused');
    job.reservation?.release();
    this.#job = null;
    this.#lane.send('REFUSE', describeError(error));
    this.#afterJob();
  }

  #received(piece: Buffer): void {
    const job = this.#job;
    if (job === null) return;
    job.body.set(piece, job.filled);
    job.filled += piece.length;
    if (job.filled < job.body.length) return;
    this.#work(job).catch((error: unknown) => {
      this.#log(job).error({ err: error }, 'a job failed by an internal error');
      if (!job.abandoned.signal.aborted) this.#fail(job, describeError(error));
    });
  }

  async #work(job: CurrentJob): Promise<void> {
    try {
      const outcome = await this.#runToDeadline(job);
      if (job.abandoned.signal.aborted) return;
      if (outcome.kind === 'failed') return this.#fail(job, outcome.error);
      await this.#sendOutputs(job, outcome);
      if (job.abandoned.signal.aborted) return;
      this.#job = null;
      const { timings, warnings } = outcome;
      this.#lane.send('DONE', warnings.length > 0 ? { timings, warnings: [...warnings] } : { timings });
      this.#afterJob();
    } finally {
      job.reservation?.release();
    }
  }

  /**
   * The pool's outcome. Sends FAIL at the deadline, and asks for the instance's end when the worker does not return. Time
   * in which this process was stalled is not the job's. Workers and libvips cannot tell, so a TIMEOUT of theirs after a
   * stall has the job run again.
   */
  async #runToDeadline(job: CurrentJob): Promise<JobOutcome> {
    const { id, outputs, image, deadline_ms: deadlineMs } = job.message;
    let isBack = false;
    const isLate = () => !isBack && !job.abandoned.signal.aborted;
    const stuck = new Watchdog(SYSTEM_CLOCK, STUCK_MS, () => this.#context.stuck(id));
    stuck.pause();
    const deadline = new Watchdog(SYSTEM_CLOCK, deadlineMs, () => {
      stuck.resume();
      this.#late(job, isLate).catch((error: unknown) => this.#log(job).error({ err: error }, 'a TIMEOUT was not sent'));
    });
    try {
      const { body } = job;
      job.body = new Uint8Array(0);
      const outcome = await this.#context.pool.run({ id, outputs, image, body, deadlineMs }, job.abandoned.signal);
      return deadline.longestStallMs > STALL_MS && hasTimedOut(outcome) ? stalled() : outcome;
    } finally {
      isBack = true;
      deadline.stop();
      stuck.stop();
    }
  }

  /**
   * The deadline has passed. If a thread is stalled, we cannot tell which of its jobs stalled it, so no job gets
   * TIMEOUT. The instance ends a second later, and Server A runs each of its jobs again, alone. Then only the job that
   * stalls its thread gets TIMEOUT.
   */
  async #late(job: CurrentJob, isLate: () => boolean): Promise<void> {
    const { alone, deadline_ms: deadlineMs } = job.message;
    if (!alone && (await this.#context.pool.hasStalledThread())) return;
    if (isLate()) this.#fail(job, describeError(timedOut(deadlineMs)));
  }

  async #sendOutputs(job: CurrentJob, outcome: Extract<JobOutcome, { kind: 'done' }>): Promise<void> {
    const isWanted = () => !job.abandoned.signal.aborted;
    for (const { header, picture } of outcome.outputs) {
      if (!isWanted()) return;
      this.#lane.send('OUTPUT', header);
      if (picture !== null) await this.#lane.sendData(picture, isWanted);
    }
  }

  #fail(job: CurrentJob, error: Message<'FAIL'>): void {
    this.#abandon(job);
    this.#lane.send('FAIL', error);
    this.#afterJob();
  }

  #cancel(): void {
    const job = this.#job;
    if (job !== null) this.#fail(job, { code: 'CANCELED', message: 'The task was canceled.' });
  }

  /** Separates the job from the lane. A running worker keeps slot and memory until it returns. */
  #abandon(job: CurrentJob): void {
    const isWorking = this.#lane.state === 'working';
    job.abandoned.abort();
    if (!isWorking) job.reservation?.release();
    this.#job = null;
  }

  #afterJob(): void {
    if (this.#mustWelcome && this.#lane.state === 'idle') this.#welcome();
  }

  #closed(error: Error | null): void {
    this.#greeting.stop();
    if (error !== null) this.#context.log.warn({ err: error }, 'a lane was closed by an error');
    if (this.#job !== null) this.#abandon(this.#job);
    this.#context.closed(this);
  }

  #log(job: CurrentJob): Logger {
    return this.#context.log.child({ task_id: job.message.id, attempt: job.message.attempt });
  }
}

/** The system may refuse memory that the budget allows. The job is not at fault, so the code lets A try it again. */
function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    // Not zeroed, because the body fills all of it before anything reads it.
    return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
  } catch (cause) {
    throw new DarkroomError('BACKEND_UNAVAILABLE', `Server B has no ${bytes} bytes of memory for the body.`, { cause });
  }
}

function hasTimedOut(outcome: JobOutcome): boolean {
  if (outcome.kind === 'failed') return outcome.error.code === 'TIMEOUT';
  return outcome.outputs.some(({ header }) => header.kind === 'failure' && header.error.code === 'TIMEOUT');
}

function stalled(): JobOutcome {
  const message = 'Server B did not run for a while, so the time of the job was over too early.';
  return { kind: 'failed', error: { code: 'BACKEND_UNAVAILABLE', message } };
}

function noGreeting(): DarkroomError {
  return new DarkroomError('REQUEST_TIMEOUT', `Expected HELLO within ${GREETING_MS} ms, received none`);
}

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { PictureLimits } from '../shared/config.ts';
import { DarkroomError, describeError } from '../shared/errors.ts';
import { checkInputLimits, checkOutputLimits } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';
import { PROTOCOL_VERSION } from '../shared/wire/frame.ts';
import { LANE_TIMING, Lane, type LaneTiming } from '../shared/wire/lane.ts';
import type { Message } from '../shared/wire/messages.ts';
import type { Budget, Reservation } from './budget.ts';
import { jobCost } from './cost.ts';
import type { JobOutcome } from './job.ts';
import type { Pool } from './pool.ts';

/** A connection must greet within this many milliseconds. */
const GREETING_MS = 2000;
/** A worker that is still busy this many milliseconds past its deadline takes its instance with it. */
const STUCK_MS = 1000;

/** What all lanes of one Server B share. */
export interface LaneServerContext {
  readonly pool: Pick<Pool, 'run' | 'hasStalledThread'>;
  readonly budget: Budget;
  readonly limits: PictureLimits;
  readonly token: string | undefined;
  readonly log: Logger;
  readonly timing?: LaneTiming;
  /** What is offered now. */
  welcome(): Message<'WELCOME'>;
  /** True while no new job is taken. */
  isDraining(): boolean;
  /** A worker did not come back from its deadline; the instance has to go. */
  stuck(jobId: string): void;
  /** The lane is gone. */
  closed(lane: LaneServer): void;
}

/** A job from its offer to its end on the lane. */
interface CurrentJob {
  readonly message: Message<'JOB'>;
  /** Aborted when A cancels or the lane closes: from then on the lane owes this job nothing. */
  readonly abandoned: AbortController;
  reservation: Reservation | null;
  body: Uint8Array<ArrayBuffer>;
  filled: number;
}

/** Server B's side of one lane: one job at a time, from offer to end. */
export class LaneServer {
  readonly #context: LaneServerContext;
  readonly #lane: Lane;
  readonly #greeting: NodeJS.Timeout;
  #job: CurrentJob | null = null;
  #hasNews = false;

  constructor(socket: Socket, context: LaneServerContext) {
    this.#context = context;
    this.#greeting = setTimeout(() => this.#lane.close(noGreeting()), GREETING_MS).unref();
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

  /** True while a job is under way on this lane. */
  get busy(): boolean {
    return this.#job !== null;
  }

  /** Tells A anew what is offered, as soon as the lane is idle. */
  announce(): void {
    this.#hasNews = true;
    if (this.#lane.state === 'idle') this.#welcome();
  }

  /** Ends the connection after what was sent has gone out. */
  end(): void {
    this.#lane.end();
  }

  #greet(hello: Message<'HELLO'>): void {
    clearTimeout(this.#greeting);
    const problem = this.#greetingProblem(hello);
    if (problem === null) {
      this.#welcome();
      return;
    }
    this.#context.log.warn({ reason: problem.message }, 'lane refused');
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
    if (token !== undefined && !equalInConstantTime(token, hello.token)) {
      return new DarkroomError('UNAUTHENTICATED', "Expected Server B's token, received another");
    }
    return null;
  }

  #welcome(): void {
    this.#hasNews = false;
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
    if (this.#context.isDraining()) throw new DarkroomError('DRAINING', 'Server B is closing');
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
    this.#log(job).warn({ err: error }, 'job refused');
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
      this.#log(job).error({ err: error }, 'job failed inside');
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
      this.#lane.send('DONE', { timings: outcome.timings });
      this.#afterJob();
    } finally {
      job.reservation?.release();
    }
  }

  /** The pool's outcome. Tells A at the deadline, and asks for the instance's end when the worker stays away. */
  async #runToDeadline(job: CurrentJob): Promise<JobOutcome> {
    const { id, outputs, image, deadline_ms: deadlineMs } = job.message;
    let isBack = false;
    const isLate = () => !isBack && !job.abandoned.signal.aborted;
    const late = setTimeout(() => {
      this.#late(job, isLate).catch((error: unknown) => this.#log(job).error({ err: error }, 'deadline not told'));
    }, deadlineMs);
    const stuck = setTimeout(() => this.#context.stuck(id), deadlineMs + STUCK_MS);
    try {
      const { body } = job;
      job.body = new Uint8Array(0);
      return await this.#context.pool.run({ id, outputs, image, body, deadlineMs }, job.abandoned.signal);
    } finally {
      isBack = true;
      clearTimeout(late);
      clearTimeout(stuck);
    }
  }

  /**
   * The deadline has passed. Where a thread stands still, this job may only be waiting behind the one that holds it, so
   * nobody is blamed: the instance ends shortly, and each of its jobs is tried again alone. There the guilty one is late
   * once more.
   */
  async #late(job: CurrentJob, isLate: () => boolean): Promise<void> {
    const { alone, deadline_ms: deadlineMs } = job.message;
    if (!alone && (await this.#context.pool.hasStalledThread())) return;
    if (isLate()) this.#fail(job, timedOut(deadlineMs));
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
    if (job !== null) this.#fail(job, { code: 'CANCELED', message: 'The job was canceled' });
  }

  /** From here the lane owes the job nothing; a worker that runs keeps slot and memory until it returns. */
  #abandon(job: CurrentJob): void {
    const isWorking = this.#lane.state === 'working';
    job.abandoned.abort();
    if (!isWorking) job.reservation?.release();
    this.#job = null;
  }

  #afterJob(): void {
    if (this.#hasNews && this.#lane.state === 'idle') this.#welcome();
  }

  #closed(error: Error | null): void {
    clearTimeout(this.#greeting);
    if (error !== null) this.#context.log.warn({ err: error }, 'lane closed');
    if (this.#job !== null) this.#abandon(this.#job);
    this.#context.closed(this);
  }

  #log(job: CurrentJob): Logger {
    return this.#context.log.child({ task_id: job.message.id, attempt: job.message.attempt });
  }
}

/** Memory that the budget allows for may still not be had from the system; that is no fault of the job's. */
function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new DarkroomError('BACKEND_UNAVAILABLE', `Expected ${bytes} bytes of memory for the body, received none`, {
      cause,
    });
  }
}

function equalInConstantTime(expected: string, received: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(expected), digest(received));
}

function noGreeting(): DarkroomError {
  return new DarkroomError('REQUEST_TIMEOUT', `Expected HELLO within ${GREETING_MS} ms, received none`);
}

function timedOut(deadlineMs: number): Message<'FAIL'> {
  return { code: 'TIMEOUT', message: `Expected the picture to be done within ${deadlineMs} ms, received nothing yet` };
}

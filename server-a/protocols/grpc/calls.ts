import type { EventEmitter } from 'node:events';
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { DarkroomError, describeError, ERRORS, shuttingDown } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { abortOr } from '../../abort.ts';
import { type CallStatus, toStatus } from './status.ts';

/** The longest delay of a Node timer, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Sends one message of a stream; resolves when HTTP/2 flow control has accepted it. */
export type Send = (message: object) => Promise<void>;

/** The state of one call. */
export interface CallState {
  /**
   * Aborts when the client cancels or disconnects and when its deadline passes; for calls that wait, also when the
   * server closes.
   */
  readonly signal: AbortSignal;
  /** The call's task, once it is known; for the log. */
  taskId?: string;
}

export interface CallLimits {
  /** Open calls, over all connections. */
  readonly maxOpen: number;
  /** Milliseconds a client may take to send a stream of requests. */
  readonly requestMs: number;
}

/** When the server closes, a `brief` call may finish; a call that `waits` for an event, maybe for ever, is ended. */
type Patience = 'brief' | 'waits';

type Call = EventEmitter & Pick<ServerUnaryCall<unknown, object>, 'getDeadline' | 'getPath'>;

interface Run {
  readonly call: Call;
  readonly patience: Patience;
  /** Milliseconds for the whole call. */
  readonly milliseconds: number;
  readonly work: (state: CallState) => Promise<void>;
  readonly fail: (status: CallStatus) => void;
}

/** Makes grpc-js handlers from functions. An error that a function throws becomes the call's status. */
export class Calls {
  readonly #limits: CallLimits;
  readonly #log: Logger;
  readonly #waiting = new Set<AbortController>();
  #open = 0;
  #isClosing = false;

  constructor(limits: CallLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
  }

  /** One request, one answer. */
  unary(
    patience: Patience,
    answer: (request: unknown, state: CallState) => Promise<object> | object,
  ): handleUnaryCall<unknown, object> {
    return (call, respond) => {
      const work = async (state: CallState) => respond(null, await answer(call.request, state));
      void this.#run({ call, patience, milliseconds: Number.POSITIVE_INFINITY, work, fail: respond });
    };
  }

  /** A stream of requests, one answer. The stream ends early when the signal aborts. */
  clientStream(
    answer: (requests: AsyncIterator<unknown>, state: CallState) => Promise<object>,
  ): handleClientStreamingCall<unknown, object> {
    return (call, respond) => {
      const work = async (state: CallState) => {
        state.signal.addEventListener('abort', () => call.destroy(), { once: true });
        const requests: AsyncIterator<unknown> = call[Symbol.asyncIterator]();
        respond(null, await answer(requests, state));
      };
      void this.#run({ call, patience: 'brief', milliseconds: this.#limits.requestMs, work, fail: respond });
    };
  }

  /** One request, a stream of answers. */
  serverStream(
    patience: Patience,
    answer: (request: unknown, send: Send, state: CallState) => Promise<void>,
  ): handleServerStreamingCall<unknown, object> {
    return (call) => {
      const work = async (state: CallState) => {
        await answer(call.request, (message) => write(call, message, state.signal), state);
        call.end();
      };
      // grpc-js reads a stream's status from its `error` event.
      const fail = (status: CallStatus) => call.emit('error', status);
      void this.#run({ call, patience, milliseconds: Number.POSITIVE_INFINITY, work, fail });
    };
  }

  /** Ends the calls that wait, and later ones, with DRAINING. */
  close(): void {
    this.#isClosing = true;
    for (const controller of this.#waiting) controller.abort(shuttingDown());
  }

  async #run({ call, patience, milliseconds, work, fail }: Run): Promise<void> {
    const controller = new AbortController();
    const state: CallState = { signal: controller.signal };
    const cancel = () => controller.abort(new DarkroomError('CANCELED', 'The client canceled the call.'));
    call.once('cancelled', cancel);
    const timer = setTimeout(() => controller.abort(tooLate()), leastOf(milliseconds, call.getDeadline()));
    if (patience === 'waits') this.#waiting.add(controller);
    this.#open += 1;
    try {
      if (this.#open > this.#limits.maxOpen) throw tooMany(this.#limits.maxOpen);
      if (patience === 'waits' && this.#isClosing) throw shuttingDown();
      await work(state);
    } catch (error) {
      const reason = abortOr(error, controller.signal);
      this.#logFailure(call.getPath(), reason, state);
      fail(toStatus(reason));
    } finally {
      this.#open -= 1;
      this.#waiting.delete(controller);
      clearTimeout(timer);
      call.off('cancelled', cancel);
    }
  }

  #logFailure(method: string, error: unknown, { taskId }: CallState): void {
    const { code } = describeError(error);
    const line = { err: error, task_id: taskId, method, code };
    if (ERRORS[code].http < 500) this.#log.debug(line, 'refused a gRPC call');
    else if (error instanceof DarkroomError && code !== 'INTERNAL') this.#log.warn(line, 'could not serve a gRPC call');
    else this.#log.error(line, 'a gRPC call failed unexpectedly');
  }
}

/** grpc-js never calls back for a message of a canceled call, so the signal ends the wait. */
function write(call: ServerWritableStream<unknown, object>, message: object, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) return stop();
    call.write(message, (error: Error | null | undefined) => {
      signal.removeEventListener('abort', stop);
      if (error) reject(error);
      else resolve();
    });
  });
}

function leastOf(milliseconds: number, deadline: Date | number): number {
  return Math.max(0, Math.min(milliseconds, Number(deadline) - Date.now(), MAX_TIMER_MS));
}

function tooLate(): DarkroomError {
  return new DarkroomError('REQUEST_TIMEOUT', 'The call took too long.');
}

function tooMany(maxOpen: number): DarkroomError {
  return new DarkroomError('RATE_LIMITED', `The server has ${maxOpen} calls open, its limit. Try again later.`);
}

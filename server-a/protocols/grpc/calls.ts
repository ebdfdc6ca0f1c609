import type { EventEmitter } from 'node:events';
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { DarkroomError, describeError, ERRORS } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { abortOr } from '../../abort.ts';
import { type CallStatus, toStatus } from './status.ts';

/** The longest a Node timer can be set to, in milliseconds. */
const MOST_MS = 2 ** 31 - 1;

/** Sends one message of a stream; resolves when the client's window has taken it. */
export type Send = (message: object) => Promise<void>;

/** What one call carries through its work. */
export interface CallState {
  /** Aborts when the client cancels or goes, when its deadline passes, and, for calls that wait, when the server closes. */
  readonly signal: AbortSignal;
  /** The task this call is about, once it is known. */
  taskId?: string;
}

/** What bounds calls. */
export interface CallLimits {
  /** Calls open at once, over all connections. */
  readonly most: number;
  /** Milliseconds a client may take to send a stream of requests. */
  readonly requestMs: number;
}

/** How a call waits: one that waits for what may never come is cut short when the server closes. */
type Patience = 'brief' | 'waits';

type Call = EventEmitter & Pick<ServerUnaryCall<unknown, object>, 'getDeadline' | 'getPath'>;

interface Run {
  readonly call: Call;
  readonly patience: Patience;
  /** Milliseconds for all of it. */
  readonly milliseconds: number;
  readonly work: (state: CallState) => Promise<void>;
  readonly fail: (status: CallStatus) => void;
}

/** Makes grpc-js handlers of functions that return or throw. What they throw becomes the status. */
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
      // This is how grpc-js takes a status for a stream.
      const fail = (status: CallStatus) => call.emit('error', status);
      void this.#run({ call, patience, milliseconds: Number.POSITIVE_INFINITY, work, fail });
    };
  }

  /** Ends the calls that wait, and all that will come and wait, with DRAINING. */
  close(): void {
    this.#isClosing = true;
    for (const controller of this.#waiting) controller.abort(closing());
  }

  async #run({ call, patience, milliseconds, work, fail }: Run): Promise<void> {
    const controller = new AbortController();
    const state: CallState = { signal: controller.signal };
    const cancel = () => controller.abort(new DarkroomError('CANCELED', 'Expected a client that waits, received none'));
    call.once('cancelled', cancel);
    const timer = setTimeout(() => controller.abort(tooLate()), leastOf(milliseconds, call.getDeadline()));
    if (patience === 'waits') this.#waiting.add(controller);
    this.#open += 1;
    try {
      if (this.#open > this.#limits.most) throw tooMany(this.#limits.most);
      if (patience === 'waits' && this.#isClosing) throw closing();
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
    if (ERRORS[code].http < 500) this.#log.debug(line, 'call refused');
    else if (error instanceof DarkroomError && code !== 'INTERNAL') this.#log.warn(line, 'call refused');
    else this.#log.error(line, 'call failed');
  }
}

/** grpc-js never calls back for a message whose call was cancelled, so the signal ends the wait. */
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
  return Math.max(0, Math.min(milliseconds, Number(deadline) - Date.now(), MOST_MS));
}

function tooLate(): DarkroomError {
  return new DarkroomError('REQUEST_TIMEOUT', 'Expected the whole call in time, received only part of it');
}

function tooMany(most: number): DarkroomError {
  return new DarkroomError('RATE_LIMITED', `Expected at most ${most} calls at once, received more; try again later`);
}

function closing(): DarkroomError {
  return new DarkroomError('DRAINING', 'Expected a server that goes on, received one that stops; try again later');
}

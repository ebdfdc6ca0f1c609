import { z } from 'zod';
import { DarkroomError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Tasks } from '../tasks/tasks.ts';

/** What a command works on. */
export interface ControlContext {
  readonly tasks: Tasks;
  readonly log: Logger;
}

/** A command of the control socket, ready to be registered. */
export interface ControlCommand {
  readonly name: string;
  /**
   * Runs the command with the fields of a request. Yields data for the client and returns the result, which is sent as
   * JSON. The signal aborts when the client has gone or the server closes. Throws BAD_REQUEST for invalid fields.
   */
  run(request: unknown, context: ControlContext, signal: AbortSignal): AsyncGenerator<Uint8Array, unknown>;
}

/** Makes a command whose request has the fields of `schema`. */
export function controlCommand<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  run: (request: z.infer<Schema>, context: ControlContext, signal: AbortSignal) => AsyncGenerator<Uint8Array, unknown>,
): ControlCommand {
  return {
    name,
    run: (request, context, signal) => {
      const parsed = schema.safeParse(request);
      if (parsed.success) return run(parsed.data, context, signal);
      const reason = z.prettifyError(parsed.error).replace(/\s+/g, ' ');
      throw new DarkroomError('BAD_REQUEST', `Expected a request of ${name}, received another: ${reason}`);
    },
  };
}

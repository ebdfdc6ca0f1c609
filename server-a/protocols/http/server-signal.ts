import { shuttingDown } from '../../../shared/errors.ts';
import { CLOSING, type HttpContext } from './http-context.ts';

/** Runs `work` with a signal that aborts when the client disconnects or has disconnected, or when the server closes. */
export async function withServerSignal<Value>(
  context: HttpContext,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const stop = new AbortController();
  const end = () => stop.abort(shuttingDown());
  context.app.once(CLOSING, end);
  context.state.signal.addEventListener('abort', end);
  if (context.state.signal.aborted) end();
  try {
    return await work(stop.signal);
  } finally {
    context.app.off(CLOSING, end);
    context.state.signal.removeEventListener('abort', end);
  }
}

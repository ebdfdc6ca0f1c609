import { DarkroomError } from '../../../shared/errors.ts';
import { CLOSING, type HttpContext } from './http-context.ts';

/** What `work` gives; its signal aborts when the client has gone, be it before, or the server closes. */
export async function withServerSignal<Value>(
  context: HttpContext,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const stop = new AbortController();
  const end = () => stop.abort(stopping());
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

function stopping(): DarkroomError {
  return new DarkroomError('DRAINING', 'Expected a server that stays for the answer, received one that is stopping');
}

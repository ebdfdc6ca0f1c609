import type { IncomingMessage } from 'node:http';

/** What draining may cost. */
export interface DrainBounds {
  readonly bytes: number;
  /** Milliseconds in all. */
  readonly milliseconds: number;
  /** Milliseconds without a byte. */
  readonly quietMs: number;
}

/**
 * Bytes: more than twice the default upload limit, so that a picture that is merely too big is read through, but not a
 * disk image. The times are nginx's for the same purpose (lingering_time, lingering_timeout).
 */
const BOUNDS: DrainBounds = { bytes: 128 * 1024 * 1024, milliseconds: 30_000, quietMs: 5_000 };

/** True while some of the request's body has not come in yet. */
export function isBodyPending(request: IncomingMessage): boolean {
  const { 'transfer-encoding': encoding, 'content-length': length = '0' } = request.headers;
  return (encoding !== undefined || Number(length) > 0) && !request.complete && !request.destroyed;
}

/** Reads and forgets the rest of the body; resolves when it has ended, the connection is gone or a bound is reached. */
export function drain(request: IncomingMessage, bounds: DrainBounds = BOUNDS): Promise<void> {
  return new Promise((resolve) => {
    if (!isBodyPending(request)) return resolve();
    const deadline = Date.now() + bounds.milliseconds;
    const quiet = setTimeout(stop, bounds.quietMs);
    let bytes = 0;
    function stop(): void {
      clearTimeout(quiet);
      request.off('data', count).off('end', stop).off('close', stop);
      resolve();
    }
    function count(chunk: Buffer): void {
      bytes += chunk.length;
      if (bytes > bounds.bytes || Date.now() > deadline) stop();
      else quiet.refresh();
    }
    request.on('data', count).once('end', stop).once('close', stop).resume();
  });
}

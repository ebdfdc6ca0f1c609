import type { IncomingMessage } from 'node:http';

export interface DrainBounds {
  readonly bytes: number;
  /** Milliseconds for the whole drain. */
  readonly milliseconds: number;
  /** Milliseconds without a byte. */
  readonly quietMs: number;
}

/**
 * The bytes are more than twice the default upload limit: enough for a picture that is too large, but not for a disk
 * image. The times are nginx's for the same purpose (lingering_time, lingering_timeout).
 */
const BOUNDS: DrainBounds = { bytes: 128 * 1024 * 1024, milliseconds: 30_000, quietMs: 5_000 };

/** True until the request's whole body has arrived. */
export function isBodyPending(request: IncomingMessage): boolean {
  const { 'transfer-encoding': encoding, 'content-length': length = '0' } = request.headers;
  return (encoding !== undefined || Number(length) > 0) && !request.complete && !request.destroyed;
}

/**
 * Reads and discards the rest of the body; resolves at its end, when the connection closes, or at one of the bounds.
 */
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

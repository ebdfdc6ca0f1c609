import { finished, type Readable } from 'node:stream';

/**
 * Calls `take` with each chunk of a stream, in order; resolves after the last. While a promise of `take` is pending the
 * stream is paused. Rejects with the error of `take` or of the stream, and with ERR_STREAM_PREMATURE_CLOSE when it is
 * destroyed before its end, but never while a promise of `take` is pending. The stream is left paused then, not destroyed,
 * so that its owner can drain it. Events, because an async iterator takes several promises for each chunk.
 */
export function eachChunk(source: Readable, take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let pending: Promise<void> | undefined;
    let isOver = false;
    const end = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      source.off('data', receive);
      stopListening();
      source.pause();
      if (pending === undefined) settle();
      else pending.then(settle, reject);
    };
    const fail = (error: unknown) => end(() => reject(error));
    const receive = (chunk: Uint8Array) => {
      try {
        pending = take(chunk);
      } catch (error) {
        fail(error);
        return;
      }
      if (pending === undefined) return;
      source.pause();
      pending.then(() => {
        if (!isOver) source.resume();
      }, fail);
    };
    const stopListening = finished(source, { writable: false }, (error) => (error ? fail(error) : end(resolve)));
    source.on('data', receive);
  });
}

import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Dicer } from '@fastify/busboy';
import { DarkroomError } from '../../../../shared/errors.ts';
import { HEAD_LIMITS, type PartHead, parameterOf, readPartHead } from './part-head.ts';

// Dicer is the lower half of busboy: it gives every part with its headers. Busboy itself, and multer on top of it, drop
// parts in silence: those without Content-Disposition, and files without a name.

export interface PartLimits {
  readonly parts: number;
  /** Characters of a field's name. */
  readonly fieldNameSize: number;
}

/** Reads one part to its end. What it throws refuses the form. */
export type ReadPart = (head: PartHead, content: Readable) => Promise<void>;

/** The messages of Dicer, which has no codes. */
const UNEXPECTED_END = /unexpected end of multipart data$/i;

/**
 * The boundary of a form (RFC 2046, section 5.1.1), also without the quotes that `/`, `:` and `=` need. Throws
 * BAD_REQUEST when there is none.
 */
export function readBoundary(contentType: string): string {
  const boundary = parameterOf(contentType, 'boundary');
  if (boundary !== null && boundary !== '') return boundary;
  throw new DarkroomError('BAD_REQUEST', 'Expected a boundary in the Content-Type, received none');
}

/**
 * Gives every part of a form to `read`, one after the other, in the order they came. Throws what `read` throws, the
 * errors of `body`, and BAD_REQUEST for a malformed form. Then `body` is destroyed, and no `read` is under way.
 */
export async function readParts(body: Readable, boundary: string, limits: PartLimits, read: ReadPart): Promise<void> {
  const parser = new Dicer({ boundary, maxHeaderPairs: HEAD_LIMITS.headers, ...{ maxHeaderSize: HEAD_LIMITS.bytes } });
  const sink = sinkOf(parser);
  // Not the body: that may have ended, and then it cannot fail any more.
  const refuse = (error: unknown) => void sink.destroy(error instanceof Error ? error : new Error(String(error)));
  const open = new Set<Readable>();
  let parts = 0;
  let heads = 0;
  let reading: Promise<void> = Promise.resolve();
  parser.on('part', (part) => {
    open.add(part);
    // Dicer emits an error on a part and ends it as if it were whole.
    part.once('close', () => open.delete(part)).on('error', (error) => part.destroy(error));
    parts += 1;
    if (parts > limits.parts) return refuse(malformed('fewer parts in the form, received too many'));
    part.once('header', (headers) => {
      heads += 1;
      // Read at once: a part may end, and the next may begin, before the last one has been read.
      reading = reading.then(() => read(readPartHead(headers, limits.fieldNameSize), part));
      reading.catch(refuse);
    });
  });
  const check = (error: unknown) => (heads < parts && isUnexpectedEnd(error) ? malformedHead() : readError(error));
  try {
    await pipeline(body, sink);
    await reading;
    if (heads < parts) throw malformedHead();
  } catch (error) {
    const reason = check(error);
    for (const part of open) part.destroy(reason);
    const refusal = await reading.then(() => reason, readError);
    body.destroy();
    throw refusal;
  }
}

/**
 * A stream that writes to Dicer. Dicer's own `finish` comes when the last part has been read, maybe before the end of
 * the body, and a write that waits then is never answered; so a pipe that ends at Dicer itself may hang.
 */
function sinkOf(parser: Dicer): Writable {
  let isFinished = false;
  let waiting: (() => void) | null = null;
  const answer = () => {
    const callback = waiting;
    waiting = null;
    callback?.();
  };
  const sink = new Writable({
    write(chunk: Buffer, _encoding, callback): void {
      waiting = callback;
      if (isFinished) answer();
      else parser.write(chunk, answer);
    },
    final(callback): void {
      // Dicer reports an unexpected end one tick after its own end.
      if (isFinished) callback();
      else parser.end(() => setImmediate(callback));
    },
  });
  parser.on('error', (error) => sink.destroy(error));
  parser.on('finish', () => {
    isFinished = true;
    answer();
  });
  return sink;
}

function isUnexpectedEnd(error: unknown): boolean {
  return error instanceof Error && UNEXPECTED_END.test(error.message);
}

function readError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (!isUnexpectedEnd(error)) return error;
  return malformed('a form with CR LF line ends that ends with its closing boundary, received none', error);
}

function malformedHead(): DarkroomError {
  return malformed('well-formed headers with CR LF line ends in every part of the form, received others');
}

function malformed(expectation: string, cause?: Error): DarkroomError {
  return new DarkroomError('BAD_REQUEST', `Expected ${expectation}`, { cause });
}

import { addAbortSignal, type Readable } from 'node:stream';
import { debuglog } from 'node:util';
import type { PictureLimits } from '../../shared/config.ts';
import { DarkroomError, describeError, invalid } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import { checkInputLimits } from '../../shared/limits.ts';
import { abortOr } from '../abort.ts';
import type { NewPicture } from '../pictures/new-picture.ts';
import type { Pictures } from '../pictures/pictures.ts';
import { probe, SNIFF_BYTES, sniff } from '../probe/probe.ts';
import type { Reservation } from './admission.ts';
import { eachChunk } from './each-chunk.ts';
import { keptFilename } from './filename.ts';

/** Traces uploads: `NODE_DEBUG=darkroom-intake`. */
const trace = debuglog('darkroom-intake');

/** The limits of an upload. */
export interface UploadLimits extends PictureLimits {
  readonly maxUploadBytes: number;
}

/** A picture that is complete and has passed all checks, but does not belong to a task yet. */
export interface ReceivedPicture {
  readonly filename: string | null;
  readonly header: ImageHeader;
  readonly bytes: number;
  /** SHA-256 of the bytes, in hexadecimal. */
  readonly sha256: string;
  /** Only for `tasks/`, like `reservation`. */
  readonly picture: NewPicture;
  readonly reservation: Reservation;
}

export interface UploadOptions {
  /** The client's name for the picture. */
  readonly filename: string | null;
  readonly limits: UploadLimits;
  readonly signal: AbortSignal;
}

const ignoreError = () => undefined;

/**
 * Receives a picture, from its first byte to its header, with a place that was reserved for it. Throws
 * PAYLOAD_TOO_LARGE when the count of bytes passes the limit, UNSUPPORTED_IMAGE when the first bytes show another
 * format, BAD_REQUEST for an empty body, IMAGE_CORRUPT, IMAGE_TOO_LARGE, STORAGE_FULL, and the errors of the source and
 * the signal. A failure releases the place and removes the picture. A refusal leaves the source paused, for its owner to
 * drain or destroy; an abort destroys it.
 */
export async function receivePicture(
  source: Readable,
  pictures: Pictures,
  reservation: Reservation,
  { filename, limits, signal }: UploadOptions,
): Promise<ReceivedPicture> {
  // Without a listener, an error before the first read would end the process. The read itself gets the error.
  source.on('error', ignoreError);
  const picture = pictures.create('input');
  try {
    const header = await writeUpload(source, picture, reservation, limits, signal);
    reservation.settle();
    const { bytes, sha256 } = picture;
    return { filename: keptFilename(filename ?? ''), header, bytes, sha256, picture, reservation };
  } catch (error) {
    reservation.release();
    await picture.discard();
    throw error;
  } finally {
    source.off('error', ignoreError);
  }
}

/** Removes a picture that will not belong to a task. Idempotent; does nothing when it belongs to one. */
export async function discardPicture({ picture, reservation }: ReceivedPicture): Promise<void> {
  reservation.release();
  await picture.discard();
}

/** Writes an upload to `picture` and reads its header. Throws like {@link receivePicture}. */
export async function writeUpload(
  source: Readable,
  picture: NewPicture,
  reservation: Reservation,
  limits: UploadLimits,
  signal: AbortSignal,
): Promise<ImageHeader> {
  try {
    await writeAll(addAbortSignal(signal, source), picture, reservation, limits.maxUploadBytes);
    const access = await picture.access();
    if (trace.enabled) trace('%s flushed, %d bytes', picture.name, picture.bytes);
    const header = await probe(access);
    if (trace.enabled) trace('%s probed, %s of %dx%d', picture.name, header.format, header.width, header.height);
    checkInputLimits(header, limits);
    await picture.seal();
    signal.throwIfAborted();
    return header;
  } catch (error) {
    const reason = abortOr(error, signal);
    const outcome = signal.aborted ? 'aborted' : 'refused';
    if (trace.enabled) trace('%s %s, %s', picture.name, outcome, describeError(reason).code);
    throw reason;
  }
}

async function writeAll(
  source: Readable,
  picture: NewPicture,
  reservation: Reservation,
  maxBytes: number,
): Promise<void> {
  let start: Uint8Array = new Uint8Array();
  await eachChunk(source, (chunk) => {
    if (picture.bytes === 0 && trace.enabled) trace('%s first byte', picture.name);
    if (picture.bytes + chunk.length > maxBytes) {
      throw new DarkroomError('PAYLOAD_TOO_LARGE', `Expected at most ${maxBytes} bytes for the picture, received more`);
    }
    if (start.length < SNIFF_BYTES) {
      start = Buffer.concat([start, chunk.subarray(0, SNIFF_BYTES - start.length)]);
      if (start.length === SNIFF_BYTES) sniff(start);
    }
    reservation.consume(chunk.length);
    return picture.write(chunk);
  });
  if (picture.bytes === 0) throw invalid('at least one byte', 'the picture', 'no bytes');
  if (start.length < SNIFF_BYTES) sniff(start);
}

import { addAbortSignal, type Readable } from 'node:stream';
import { debuglog } from 'node:util';
import type { PictureLimits } from '../../shared/config.ts';
import { DarkroomError, describeError, invalid } from '../../shared/errors.ts';
import type { ImageHeader } from '../../shared/image-header.ts';
import { checkInputLimits } from '../../shared/limits.ts';
import { abortOr } from '../abort.ts';
import { probe, SNIFF_BYTES, sniff } from '../probe/probe.ts';
import { openRandomAccess } from '../probe/random-access.ts';
import type { SpoolFile } from '../spool/spool-file.ts';
import type { Reservation } from './admission.ts';

/** Follows uploads: `NODE_DEBUG=darkroom-intake`. */
const trace = debuglog('darkroom-intake');

/** What bounds an upload. */
export interface UploadLimits extends PictureLimits {
  readonly maxUploadBytes: number;
}

/**
 * Writes an upload to `file` and reads its header. Throws PAYLOAD_TOO_LARGE as soon as the count passes,
 * UNSUPPORTED_IMAGE as soon as the first bytes show it, BAD_REQUEST for no bytes, IMAGE_CORRUPT, IMAGE_TOO_LARGE and
 * STORAGE_FULL. A refusal leaves the source paused, for its owner to drain or destroy; an abort destroys it.
 */
export async function writeUpload(
  source: Readable,
  file: SpoolFile,
  reservation: Reservation,
  limits: UploadLimits,
  signal: AbortSignal,
): Promise<ImageHeader> {
  try {
    await writeAll(addAbortSignal(signal, source), file, reservation, limits.maxUploadBytes);
    await file.flush();
    if (trace.enabled) trace('%s flushed, %d bytes', file.name, file.bytes);
    const header = await probe(await openRandomAccess(file.handle));
    if (trace.enabled) trace('%s probed, %s of %dx%d', file.name, header.format, header.width, header.height);
    checkInputLimits(header, limits);
    await file.seal();
    signal.throwIfAborted();
    return header;
  } catch (error) {
    const reason = abortOr(error, signal);
    const outcome = signal.aborted ? 'aborted' : 'refused';
    if (trace.enabled) trace('%s %s, %s', file.name, outcome, describeError(reason).code);
    throw reason;
  }
}

async function writeAll(source: Readable, file: SpoolFile, reservation: Reservation, most: number): Promise<void> {
  let start: Uint8Array = new Uint8Array();
  for await (const chunk of chunksOf(source)) {
    if (file.bytes === 0 && trace.enabled) trace('%s first byte', file.name);
    if (file.bytes + chunk.length > most) {
      throw new DarkroomError('PAYLOAD_TOO_LARGE', `Expected at most ${most} bytes for the picture, received more`);
    }
    if (start.length < SNIFF_BYTES) {
      start = Buffer.concat([start, chunk.subarray(0, SNIFF_BYTES - start.length)]);
      if (start.length === SNIFF_BYTES) sniff(start);
    }
    reservation.consume(chunk.length);
    await file.write(chunk);
  }
  if (file.bytes === 0) throw invalid('at least one byte', 'the picture', 'no bytes');
  if (start.length < SNIFF_BYTES) sniff(start);
}

/** The bytes of a stream that is left whole, not destroyed, when its reader stops early. */
function chunksOf(source: Readable): AsyncIterable<Uint8Array> {
  return source.iterator({ destroyOnReturn: false });
}

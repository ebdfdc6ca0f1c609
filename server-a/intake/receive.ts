import type { Readable } from 'node:stream';
import type { ImageHeader } from '../../shared/image-header.ts';
import type { Spool } from '../spool/spool.ts';
import type { SpoolFile } from '../spool/spool-file.ts';
import type { Reservation } from './admission.ts';
import { type UploadLimits, writeUpload } from './write-upload.ts';

const heedless = () => undefined;

/** A picture that has come in whole and passed the checks, not yet a task's. */
export interface ReceivedPicture {
  readonly filename: string | null;
  readonly header: ImageHeader;
  readonly bytes: number;
  /** Of the bytes, in hexadecimal. */
  readonly sha256: string;
  /** For `tasks/` only, as is `reservation`. */
  readonly file: SpoolFile;
  readonly reservation: Reservation;
}

export interface ReceptionOptions {
  readonly filename: string | null;
  readonly limits: UploadLimits;
  readonly signal: AbortSignal;
}

/**
 * Takes a picture into the spool, on a place that was reserved for it. Throws what {@link writeUpload} throws; the place is
 * then free again and nothing is left on disk.
 */
export async function receivePicture(
  source: Readable,
  spool: Spool,
  reservation: Reservation,
  { filename, limits, signal }: ReceptionOptions,
): Promise<ReceivedPicture> {
  // Reading finds the error; until it begins, nobody else listens for one.
  source.on('error', heedless);
  let file: SpoolFile | null = null;
  try {
    file = await spool.create('input');
    const header = await writeUpload(source, file, reservation, limits, signal);
    reservation.settle();
    return { filename, header, bytes: file.bytes, sha256: file.sha256, file, reservation };
  } catch (error) {
    reservation.release();
    await file?.discard();
    throw error;
  } finally {
    source.off('error', heedless);
  }
}

/** Removes a picture that will not become a task's. Idempotent, and harmless for one that has. */
export async function discardPicture({ file, reservation }: ReceivedPicture): Promise<void> {
  reservation.release();
  await file.discard();
}

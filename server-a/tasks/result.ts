import { type FileHandle, open } from 'node:fs/promises';
import { DarkroomError, expectedMessage, systemCode } from '../../shared/errors.ts';
import { MEDIA_TYPES } from '../../shared/operations/format.ts';
import { operationOf } from '../../shared/operations/index.ts';
import { ORIGINAL } from '../../shared/operations/outputs.ts';
import { hasEnded, type OutputHeader, type TaskOutput, type TaskStatus } from '../../shared/task.ts';
import type { StoredOutput } from '../dispatch/contract.ts';
import { inputName, outputName, type Spool } from '../spool/spool.ts';
import { pictureOf, type StoredPicture, type TaskRow, toTaskOutput } from '../store/row.ts';

/** An output that can be sent to a client. */
export type Result =
  | {
      readonly kind: 'picture';
      /** Absolute path of the file. */
      readonly path: string;
      readonly mediaType: string;
      readonly bytes: number;
      /** SHA-256 of the bytes, in hexadecimal. */
      readonly sha256: string;
    }
  | { readonly kind: 'data'; readonly output: TaskOutput };

/** A picture among a task's results. */
export type PictureResult = Extract<Result, { kind: 'picture' }>;

/** Opens the picture for reading; the caller closes it. Throws SPOOL_CORRUPT when the file is missing. */
export async function openPicture({ path }: PictureResult): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new DarkroomError('SPOOL_CORRUPT', 'The stored picture is missing on disk.', { cause: error });
  }
}

/**
 * The output `name`; without a name the first picture, or the kept original of a task without pictures. `original`
 * exists before the task has ended. `now` is in milliseconds since 1970. Throws NOT_READY, EXPIRED, NOT_FOUND,
 * SPOOL_CORRUPT, CANCELED, or the output's or task's own error.
 */
export async function findResult(row: TaskRow, name: string | undefined, spool: Spool, now: number): Promise<Result> {
  if (name === ORIGINAL) return findOriginal(row, spool);
  checkEnded(row);
  if (name === undefined && row.original_kept && row.status === 'completed' && firstPicture(row) === undefined) {
    return findOriginal(row, spool);
  }
  const output = name === undefined ? firstPicture(row) : row.outputs.find((one) => one.header.name === name);
  if (output?.header.kind === 'failure') throw new DarkroomError(output.header.error.code, output.header.error.message);
  if (row.error !== null) throw new DarkroomError(row.error.code, row.error.message);
  if (output === undefined) {
    const names = row.outputs.map((one) => one.header.name).join(', ');
    const expected = name === undefined ? 'a picture among the outputs' : `one of ${names}`;
    throw new DarkroomError('NOT_FOUND', expectedMessage(expected, 'the output', name ?? names));
  }
  checkExpiry(row, now);
  return output.header.kind === 'picture'
    ? findPicture(row, output.header, output.sha256, spool)
    : { kind: 'data', output: toTaskOutput(row.id, output.header) };
}

/** The task's own picture as uploaded. Throws NOT_FOUND when it was never kept, and EXPIRED when it no longer is. */
export function checkOriginal(row: TaskRow): StoredPicture {
  const picture = pictureOf(row);
  if (row.original_kept && picture !== null) return picture;
  if (row.original_expires_at === null) {
    throw new DarkroomError('NOT_FOUND', 'The task does not keep its original picture.');
  }
  throw expired(row.original_expires_at);
}

async function findOriginal(row: TaskRow, spool: Spool): Promise<Result> {
  const { header, bytes, sha256 } = checkOriginal(row);
  const file = inputName(row.id);
  await checkSize(file, bytes, 'original', spool);
  return { kind: 'picture', path: spool.path(file), mediaType: MEDIA_TYPES[header.format], bytes, sha256 };
}

/** The NOT_READY for a task that must have ended. */
export function notEnded(status: TaskStatus): DarkroomError {
  return new DarkroomError('NOT_READY', `The task has not ended yet; it is ${status}. Try again later.`);
}

function checkEnded(row: TaskRow): void {
  if (row.status === 'canceled') throw new DarkroomError('CANCELED', 'The task was canceled.');
  if (!hasEnded(row.status)) throw notEnded(row.status);
}

function checkExpiry({ outputs, outputs_kept, expires_at }: TaskRow, now: number): void {
  const hadFiles = outputs.some((output) => output.header.kind === 'picture');
  if (expires_at === null || (now < expires_at && (outputs_kept || !hadFiles))) return;
  throw expired(expires_at);
}

function expired(milliseconds: number): DarkroomError {
  return new DarkroomError('EXPIRED', `The result expired at ${new Date(milliseconds).toISOString()}.`);
}

/** The first picture; when every picture failed, the first of them, for its error. */
function firstPicture({ outputs }: TaskRow): StoredOutput | undefined {
  const drawn = outputs.filter((output) => operationOf(output.header.operation).gives === 'picture');
  return drawn.find((output) => output.header.kind === 'picture') ?? drawn[0];
}

async function findPicture(
  row: TaskRow,
  header: Extract<OutputHeader, { kind: 'picture' }>,
  sha256: string | null,
  spool: Spool,
): Promise<Result> {
  const file = outputName(row.id, row.attempt, header.name);
  if (sha256 === null) throw new DarkroomError('INTERNAL', `The record has no hash of the ${header.name} output.`);
  await checkSize(file, header.bytes, `${header.name} output`, spool);
  return {
    kind: 'picture',
    path: spool.path(file),
    mediaType: MEDIA_TYPES[header.format],
    bytes: header.bytes,
    sha256,
  };
}

async function checkSize(file: string, bytes: number, what: string, spool: Spool): Promise<void> {
  const size = await spool.size(file);
  if (size === bytes) return;
  const found = size === null ? 'is missing' : `has ${size} bytes`;
  throw new DarkroomError('SPOOL_CORRUPT', `The stored ${what} ${found} and should have ${bytes} bytes.`);
}

import { DarkroomError, expectedMessage } from '../../shared/errors.ts';
import { MEDIA_TYPES } from '../../shared/operations/format.ts';
import { operationOf } from '../../shared/operations/index.ts';
import { ORIGINAL } from '../../shared/operations/outputs.ts';
import { hasEnded, type OutputHeader, type TaskOutput, type TaskStatus } from '../../shared/task.ts';
import type { StoredOutput } from '../dispatch/contract.ts';
import type { FoundPicture } from '../pictures/found-picture.ts';
import type { Pictures } from '../pictures/pictures.ts';
import { inputName, outputName } from '../spool/spool.ts';
import { pictureOf, type StoredPicture, type TaskRow, toTaskOutput } from '../store/row.ts';

/** An output that can be sent to a client. */
export type Result =
  | {
      readonly kind: 'picture';
      /** The bytes, wherever they are. */
      readonly picture: FoundPicture;
      readonly mediaType: string;
      readonly bytes: number;
      /** SHA-256 of the bytes, in hexadecimal. */
      readonly sha256: string;
    }
  | { readonly kind: 'data'; readonly output: TaskOutput };

/** A picture among a task's results. */
export type PictureResult = Extract<Result, { kind: 'picture' }>;

/**
 * The output `name`; without a name the first picture, or the kept original of a task without pictures. `original`
 * exists before the task has ended. `now` is in milliseconds since 1970. Throws NOT_READY, EXPIRED, NOT_FOUND,
 * SPOOL_CORRUPT, CANCELED, or the output's or task's own error.
 */
export async function findResult(
  row: TaskRow,
  name: string | undefined,
  pictures: Pictures,
  now: number,
): Promise<Result> {
  if (name === ORIGINAL) return findOriginal(row, pictures);
  checkEnded(row);
  if (name === undefined && row.original_kept && row.status === 'completed' && firstPicture(row) === undefined) {
    return findOriginal(row, pictures);
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
    ? findPicture(row, output.header, output.sha256, pictures)
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

async function findOriginal(row: TaskRow, pictures: Pictures): Promise<Result> {
  const { header, bytes, sha256 } = checkOriginal(row);
  const picture = await pictures.find(inputName(row.id), bytes, 'original');
  return { kind: 'picture', picture, mediaType: MEDIA_TYPES[header.format], bytes, sha256 };
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
  pictures: Pictures,
): Promise<Result> {
  if (sha256 === null) throw new DarkroomError('INTERNAL', `The record has no hash of the ${header.name} output.`);
  const { name, bytes, format } = header;
  const picture = await pictures.find(outputName(row.id, row.attempt, name), bytes, `${name} output`);
  return { kind: 'picture', picture, mediaType: MEDIA_TYPES[format], bytes, sha256 };
}

import { DarkroomError } from '../../../../shared/errors.ts';
import { openPicture, type PictureResult } from '../../../tasks/result.ts';
import type { HttpContext } from '../http-context.ts';
import { type ByteRange, parseRange } from './range.ts';

/** What file systems and shells trip over: control, format and surrogate characters, quotes, separators. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}"'\\/:*?<>|%]/gu;
const MAX_NAME_LENGTH = 100;

/**
 * Answers with the picture's bytes, or 304 when the client has them (RFC 9110, section 13.1.2), or one range of them
 * (section 14). `name`, without extension, is what a browser would save it as. Throws RANGE_NOT_SATISFIABLE, and
 * SPOOL_CORRUPT when the file is not there.
 */
export async function answerPicture(context: HttpContext, picture: PictureResult, name: string): Promise<void> {
  const etag = `"${picture.sha256}"`;
  if (listsTag(context.get('If-None-Match'), etag)) {
    describe(context, etag);
    context.status = 304;
    return;
  }
  const range = requestedRange(context, etag, picture.bytes);
  const file = context.method === 'HEAD' ? null : await openPicture(picture);
  describe(context, etag);
  context.attachment(fileName(name, picture.mediaType), { type: 'inline' });
  context.status = range === null ? 200 : 206;
  const { start, end } = range ?? { start: 0, end: picture.bytes - 1 };
  if (range !== null) context.set('Content-Range', `bytes ${start}-${end}/${picture.bytes}`);
  // Koa closes the stream, and it the file, when the answer is out or the client has gone.
  if (file !== null) context.body = file.createReadStream({ start, end });
  context.set('Content-Type', picture.mediaType);
  context.length = end - start + 1;
}

/** What 200, 206 and 304 share. A result never changes, but a task may be forgotten, so no cache keeps it unasked. */
function describe(context: HttpContext, etag: string): void {
  context.set('ETag', etag);
  context.set('Cache-Control', 'private, no-cache');
  context.set('Accept-Ranges', 'bytes');
}

/** True when an If-None-Match names the tag, by weak comparison, or any. */
function listsTag(header: string, etag: string): boolean {
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/** The range to send, or null for all of it. An If-Range that names another version makes the range void. */
function requestedRange(context: HttpContext, etag: string, bytes: number): ByteRange | null {
  const condition = context.get('If-Range');
  if (context.method !== 'GET' || (condition !== '' && condition !== etag)) return null;
  const range = parseRange(context.get('Range'), bytes);
  if (range !== 'unsatisfiable') return range;
  context.set('Content-Range', `bytes */${bytes}`);
  throw new DarkroomError(
    'RANGE_NOT_SATISFIABLE',
    `Expected a range within ${bytes} bytes, received '${context.get('Range').slice(0, 60)}'`,
  );
}

/** `cat-resize.jpeg`; the media type's own word is the extension. */
function fileName(name: string, mediaType: string): string {
  const stem = [...name].slice(0, MAX_NAME_LENGTH).join('').replace(UNSAFE, '_');
  return `${stem}.${mediaType.slice(mediaType.indexOf('/') + 1)}`;
}

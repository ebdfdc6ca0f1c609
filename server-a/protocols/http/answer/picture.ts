import { DarkroomError } from '../../../../shared/errors.ts';
import type { PictureResult } from '../../../tasks/result.ts';
import type { HttpContext } from '../http-context.ts';
import { type ByteRange, parseRange } from './range.ts';

/**
 * Characters that file systems or shells cannot handle: control, format and surrogate characters, quotes, separators.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}"'\\/:*?<>|%]/gu;
const MAX_NAME_LENGTH = 100;

/**
 * Answers with the picture's bytes, with one range of them (RFC 9110, section 14), or with 304 when the client has
 * them (section 13.1.2). A browser saves the picture as `name`, to which an extension is added. Throws
 * RANGE_NOT_SATISFIABLE, and SPOOL_CORRUPT when the file does not exist.
 */
export async function answerPicture(context: HttpContext, result: PictureResult, name: string): Promise<void> {
  const { picture, sha256, bytes, mediaType } = result;
  const etag = `"${sha256}"`;
  if (listsTag(context.get('If-None-Match'), etag)) {
    setCacheHeaders(context, etag);
    context.status = 304;
    return;
  }
  const range = requestedRange(context, etag, bytes);
  const { start, end } = range ?? { start: 0, end: bytes - 1 };
  const body = context.method === 'HEAD' ? null : await picture.body({ start, end });
  setCacheHeaders(context, etag);
  context.attachment(fileName(name, mediaType), { type: 'inline' });
  context.status = range === null ? 200 : 206;
  if (range !== null) context.set('Content-Range', `bytes ${start}-${end}/${bytes}`);
  // Koa destroys a stream when the answer has been sent or the client disconnects; the stream closes the file.
  if (body !== null) context.body = body;
  context.set('Content-Type', mediaType);
  context.length = end - start + 1;
}

/** The headers of 200, 206 and 304. A result never changes, but its task may be deleted, so a cache must revalidate. */
function setCacheHeaders(context: HttpContext, etag: string): void {
  context.set('ETag', etag);
  context.set('Cache-Control', 'private, no-cache');
  context.set('Accept-Ranges', 'bytes');
}

/** True when If-None-Match has the tag, by weak comparison, or `*`. */
function listsTag(header: string, etag: string): boolean {
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/** The range to send, or null for the whole picture. If-Range with another tag also means the whole picture. */
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

/** `cat-resize.jpeg`: the media type's subtype is the extension. */
function fileName(name: string, mediaType: string): string {
  const stem = [...name].slice(0, MAX_NAME_LENGTH).join('').replace(UNSAFE, '_');
  return `${stem}.${mediaType.slice(mediaType.indexOf('/') + 1)}`;
}

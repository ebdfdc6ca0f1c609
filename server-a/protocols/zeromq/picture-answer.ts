import type { PictureResult } from '../../tasks/result.ts';

const HEAD = Buffer.from('{"status":"success","image_data":"');
const TAIL = Buffer.from('"}');
/** Bytes of one read. */
const PIECE_BYTES = 3 * 256 * 1024;

/**
 * `{"status":"success","image_data":"<base64>"}` of a picture. It is read in pieces: a large picture exceeds the longest
 * JavaScript string, and other requests get the event loop between two pieces. Throws an Error when the picture is
 * shorter than it was.
 */
export async function pictureAnswer(picture: PictureResult['picture']): Promise<Buffer> {
  const answer = Buffer.allocUnsafe(HEAD.length + Math.ceil(picture.size / 3) * 4 + TAIL.length);
  let end = HEAD.copy(answer);
  let read = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of await picture.stream(PIECE_BYTES)) {
    const bytes: Buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    read += piece.length;
    // Three bytes are four characters. The base64 of the pieces can be joined if each has whole groups, except the last.
    const length = read >= picture.size ? bytes.length : bytes.length - (bytes.length % 3);
    end += answer.write(bytes.toString('base64', 0, length), end, 'latin1');
    rest = bytes.subarray(length);
  }
  if (read !== picture.size) throw new Error('The stored picture is shorter than its record says.');
  TAIL.copy(answer, end);
  return answer;
}

import { type FileHandle, open } from 'node:fs/promises';

const HEAD = Buffer.from('{"status":"success","image_data":"');
const TAIL = Buffer.from('"}');
/** Bytes of one read; a multiple of three, so that the base64 of the pieces can be joined. */
const PIECE_BYTES = 3 * 256 * 1024;

/**
 * `{"status":"success","image_data":"<base64>"}` of a file of `bytes` bytes. The file is read in pieces: a large
 * picture exceeds the longest JavaScript string, and other requests get the event loop between two pieces. Throws an
 * Error when the file is shorter.
 */
export async function pictureAnswer(path: string, bytes: number): Promise<Buffer> {
  const answer = Buffer.allocUnsafe(HEAD.length + Math.ceil(bytes / 3) * 4 + TAIL.length);
  let end = HEAD.copy(answer);
  const file = await open(path);
  try {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let left = bytes; left > 0; ) {
      const length = Math.min(left, PIECE_BYTES);
      await readWhole(file, piece.subarray(0, length));
      end += answer.write(piece.toString('base64', 0, length), end, 'latin1');
      left -= length;
    }
  } finally {
    await file.close();
  }
  TAIL.copy(answer, end);
  return answer;
}

async function readWhole(file: FileHandle, piece: Buffer): Promise<void> {
  for (let offset = 0; offset < piece.length; ) {
    const { bytesRead } = await file.read(piece, offset, piece.length - offset);
    if (bytesRead === 0) throw new Error('The stored picture is shorter than its record says.');
    offset += bytesRead;
  }
}

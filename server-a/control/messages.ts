import { z } from 'zod';
import { DarkroomError, ERROR_CODES } from '../../shared/errors.ts';

/**
 * The control socket carries one request and its answer.
 *
 * request: one line of JSON, at most 64 KiB: `{"command": "…", …}`. The client then leaves its side open until it has the
 *          answer; closing it ends the command.
 * answer:  frames, each a length (u32, big-endian) and so many bytes. Frames of data come first. A frame of length 0
 *          ends the data; one frame of JSON follows: `{"result": …}` or `{"error": {"code": "…", "message": "…"}}`.
 */
export const MAX_REQUEST_BYTES = 64 * 1024;
/** The most bytes in one frame. */
export const MAX_FRAME_BYTES = 1024 * 1024;

const LENGTH_BYTES = 4;

const answerSchema = z.union([
  z.object({ result: z.unknown() }),
  z.object({ error: z.object({ code: z.enum(ERROR_CODES), message: z.string() }) }),
]);

export type Answer = z.infer<typeof answerSchema>;

/** The frame that ends the data. */
export const END_OF_DATA = Buffer.alloc(LENGTH_BYTES);

/** A frame with these bytes; no frame for no bytes, which would end the data. */
export function frame(bytes: Uint8Array): Buffer[] {
  if (bytes.length === 0) return [];
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bytes.length);
  return [length, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
}

/**
 * Reads an answer: yields its data and returns its result. Throws the error in the answer, and SOURCE_ERROR when the
 * connection ends before the answer does.
 */
export async function* readAnswer(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, unknown> {
  let isData = true;
  for await (const bytes of frames(source)) {
    if (!isData) return resultOf(answerSchema.parse(JSON.parse(bytes.toString())));
    if (bytes.length > 0) yield bytes;
    else isData = false;
  }
  throw new DarkroomError('SOURCE_ERROR', 'Darkroom ended before it had answered.');
}

async function* frames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    while (rest.length >= LENGTH_BYTES) {
      const length = rest.readUInt32BE();
      if (length > MAX_FRAME_BYTES) throw new DarkroomError('SOURCE_ERROR', 'The answer is not one of Darkroom.');
      if (rest.length < LENGTH_BYTES + length) break;
      yield rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      rest = rest.subarray(LENGTH_BYTES + length);
    }
  }
}

function resultOf(answer: Answer): unknown {
  if ('error' in answer) throw new DarkroomError(answer.error.code, answer.error.message);
  return answer.result;
}

import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { nanoid } from 'nanoid';

/**
 * Writes chunks to a temporary file and renames it to `target`, so that no program can read half a file. Throws the
 * error of the chunks or of the system, or the signal's reason; no temporary file remains.
 */
export async function saveFile(
  target: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${nanoid(8)}.part`);
  try {
    await pipeline(chunks, createWriteStream(temporary, { flags: 'wx' }), signal === undefined ? {} : { signal });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

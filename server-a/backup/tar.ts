import { open } from 'node:fs/promises';
import { Header } from 'tar';

/** The size of a header, and what the content of a file is padded to (tar(5)). */
const BLOCK_BYTES = 512;
const PIECE_BYTES = 256 * 1024;

/** A file for an archive. */
export interface ArchivedFile {
  /** Its name in the archive, in ASCII and of at most 100 bytes. */
  readonly name: string;
  /** Where it is. It must not change. */
  readonly path: string;
}

/**
 * Yields a tar archive of the files, in their order. The library only encodes headers here, because its own packing
 * throws, where nobody can catch it, when two names are links to one file. Throws the system's error.
 */
export async function* pack(files: Iterable<ArchivedFile>): AsyncGenerator<Uint8Array, void> {
  for (const file of files) yield* packOne(file);
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

async function* packOne({ name, path }: ArchivedFile): AsyncGenerator<Uint8Array, void> {
  const handle = await open(path, 'r');
  try {
    const { size, mtime } = await handle.stat();
    const header = Buffer.alloc(BLOCK_BYTES);
    const needsMore = new Header({ path: name, size, mtime, mode: 0o600, type: 'File' }).encode(header);
    if (needsMore) throw new Error(`The header of ${name} does not fit into an archive.`);
    yield header;
    for (let done = 0; done < size; ) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(PIECE_BYTES, size - done)));
      if (bytesRead === 0) throw new Error(`The file ${name} became shorter while it was read.`);
      yield buffer.subarray(0, bytesRead);
      done += bytesRead;
    }
    const padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
    if (padding > 0) yield Buffer.alloc(padding);
  } finally {
    await handle.close();
  }
}

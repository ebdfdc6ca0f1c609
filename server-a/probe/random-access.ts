import type { FileHandle } from 'node:fs/promises';

/** Bytes that can be read from anywhere: a file, or a picture in memory. */
export interface RandomAccess {
  /** Length in bytes. */
  readonly size: number;
  /** The bytes from `offset` on: `length` of them, fewer only where the end comes first. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/**
 * Random access over an open file, as long as it is now. The handle stays the caller's, to close after the last read.
 * Each `read` goes to the system: {@link ByteReader} is what reads ahead.
 */
export async function openRandomAccess(handle: FileHandle): Promise<RandomAccess> {
  const { size } = await handle.stat();
  return { size, read: (offset, length) => readAt(handle, offset, length) };
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

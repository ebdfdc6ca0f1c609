import type { FileHandle } from 'node:fs/promises';

/** Bytes that can be read at any offset: a file, or a picture in memory. */
export interface RandomAccess {
  /** Length in bytes. */
  readonly size: number;
  /** Reads `length` bytes at `offset`; fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/**
 * Random access to an open file with its current size. The caller closes the handle after the last read. Each `read` is
 * a system call; {@link ByteReader} reads ahead.
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

/** Random access to bytes in memory. */
export function bytesAccess(bytes: Uint8Array): RandomAccess {
  return { size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) };
}

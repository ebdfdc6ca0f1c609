import { statfsSync } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';

/** An entry of a folder. */
export interface FolderEntry {
  readonly name: string;
  isDirectory(): boolean;
}

/** The file operations that durable writes need: node:fs, or a test's. Each fails with the system's error. */
export interface FileSystem {
  /** Opens a file, or a folder for its fsync (`flags` is `r`). */
  open(path: string, flags: string | number, mode?: number): Promise<FileHandle>;
  /**
   * Reads a file into `buffer`, again and again, and closes it. Each piece is a view of `buffer`, until the next one is
   * asked for. The iteration fails with the system's error.
   */
  read(path: string, buffer: Uint8Array): AsyncIterable<Uint8Array>;
  rename(from: string, to: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  stat(path: string): Promise<{ readonly size: number }>;
  readdir(folder: string): Promise<FolderEntry[]>;
  /**
   * Creates the folder and its missing parents; resolves with the uppermost new folder, or undefined if all existed.
   */
  mkdir(folder: string, mode: number): Promise<string | undefined>;
  /** Free bytes on the folder's disk. Synchronous, because the kernel answers from memory (statfs(2)). */
  freeBytes(folder: string): number;
}

export const NODE_FILES: FileSystem = {
  open,
  read,
  rename,
  link,
  unlink,
  stat,
  readdir: (folder) => readdir(folder, { withFileTypes: true }),
  mkdir: (folder, mode) => mkdir(folder, { recursive: true, mode }),
  freeBytes: (folder) => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  },
};

async function* read(path: string, buffer: Uint8Array): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

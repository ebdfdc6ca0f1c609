import { createReadStream, statfsSync } from 'node:fs';
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
   * Reads a file in pieces of at most `pieceBytes` bytes, and closes it. The iteration fails with the system's error.
   */
  read(path: string, pieceBytes: number): AsyncIterable<Buffer>;
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
  read: (path, pieceBytes) => createReadStream(path, { highWaterMark: pieceBytes }),
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

import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** Bytes of the longest path of a Unix socket: `sun_path` of unix(7) without its final NUL. */
const MOST_BYTES = 107;

/** A path that a socket can have, and what must stay open while it is used. */
export interface SocketPath {
  readonly path: string;
  close(): Promise<void>;
}

/** The control socket of a data folder. */
export function controlSocket(dataDir: string): string {
  return join(resolve(dataDir), 'control.sock');
}

/**
 * A path of at most 107 bytes for the socket at `path`: a longer one is shortened by way of its open folder, which
 * Linux names in /proc/self/fd (proc(5)). Throws the system's error when there is no such folder.
 */
export async function shortSocketPath(path: string): Promise<SocketPath> {
  if (Buffer.byteLength(path) <= MOST_BYTES) return { path, close: async () => undefined };
  const folder: FileHandle = await open(dirname(path), 'r');
  return { path: `/proc/self/fd/${folder.fd}/${basename(path)}`, close: () => folder.close() };
}

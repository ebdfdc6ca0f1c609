import { endianness } from 'node:os';

/** What the shared memory beside a write-ahead log says about it. */
export interface WalIndex {
  /** The salts of the log, as in its header. */
  readonly salts: Buffer;
  /** The number of frames up to the last commit. */
  readonly frames: number;
  /** The number of frames that are also in the database. */
  readonly copied: number;
}

const HEADER_BYTES = 48;
const VERSION = 3_007_000;

/**
 * Reads the first bytes of a `-shm` file (https://sqlite.org/walformat.html#the_wal_index_header); null when they are
 * incomplete. With `synchronous=FULL`, SQLite counts a commit here only when its frames are on disk, so the log has all
 * of them, also after a power cut.
 */
export function parseWalIndex(bytes: Buffer): WalIndex | null {
  if (bytes.length < 2 * HEADER_BYTES + 4) return null;
  const header = bytes.subarray(0, HEADER_BYTES);
  // SQLite writes the second copy first.
  if (!header.equals(bytes.subarray(HEADER_BYTES, 2 * HEADER_BYTES)) || word(bytes, 0) !== VERSION) return null;
  return { salts: bytes.subarray(32, 40), frames: word(bytes, 16), copied: word(bytes, 2 * HEADER_BYTES) };
}

/** A number in the byte order of this machine. */
function word(bytes: Buffer, position: number): number {
  return endianness() === 'LE' ? bytes.readUInt32LE(position) : bytes.readUInt32BE(position);
}

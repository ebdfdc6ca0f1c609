import { type FileHandle, open } from 'node:fs/promises';
import { systemCode } from '../../shared/errors.ts';
import { parseWalIndex, type WalIndex } from './wal-index.ts';

/**
 * A write-ahead log (https://sqlite.org/fileformat2.html#the_write_ahead_log) as SQLite would read it.
 * - `none`: there is no log, or SQLite reads nothing from it. `bytes` is its size; `isLost` is true when there was one
 *   with records that are not in the database.
 * - `sound`: SQLite reads every transaction that was committed, as far as can be known.
 * - `damaged`: SQLite would drop transactions that were committed.
 */
export type WalState =
  | { readonly kind: 'none'; readonly bytes: number; readonly isLost: boolean }
  | { readonly kind: 'sound' | 'damaged' };

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const VERSION = 3_007_000;
/** The magic number without its last bit, which says that checksums are of big-endian words. */
const MAGIC = 0x377f0682;

/** Two running sums over 32-bit words. */
type Checksum = readonly [number, number];

interface Header {
  readonly isBigEndian: boolean;
  readonly pageBytes: number;
  /** Of the frames that belong to this header. Older frames, from before the log was used again, have others. */
  readonly salts: Buffer;
  readonly checksum: Checksum;
}

/**
 * Reads the log of the database at `path`, and the shared memory beside it, without changing them. SQLite itself stops
 * at the first frame with a wrong checksum and says nothing, because a power cut may leave the last transaction
 * incomplete. The log is damaged when
 * - the shared memory, which belongs to the same log, counts more frames than SQLite would read; or
 * - two commits are at or after that frame: the first was synced before the second was written, so it was complete once.
 */
export async function inspectWal(path: string): Promise<WalState> {
  const index = await readIndex(`${path}-shm`);
  const handle = await openOrNull(`${path}-wal`);
  const isLost = index !== null && index.frames > index.copied;
  if (handle === null) return { kind: 'none', bytes: 0, isLost };
  try {
    const { size } = await handle.stat();
    const header = readHeader(await readAt(handle, 0, HEADER_BYTES));
    if (header === null) return { kind: 'none', bytes: size, isLost };
    const { frames, laterCommits } = await scan(handle, header);
    const counted = index?.salts.equals(header.salts) ? index.frames : 0;
    return { kind: counted > frames || laterCommits > 1 ? 'damaged' : 'sound' };
  } finally {
    await handle.close();
  }
}

/** The number of frames up to the last commit that SQLite reads, and of commits at or after the first bad frame. */
async function scan(handle: FileHandle, header: Header): Promise<{ frames: number; laterCommits: number }> {
  const frameBytes = FRAME_HEADER_BYTES + header.pageBytes;
  let checksum: Checksum | null = header.checksum;
  let frames = 0;
  let laterCommits = 0;
  for (let count = 0; ; count += 1) {
    const frame = await readAt(handle, HEADER_BYTES + count * frameBytes, frameBytes);
    if (frame.length < FRAME_HEADER_BYTES) return { frames, laterCommits };
    const belongs = frame.subarray(8, 16).equals(header.salts);
    // The size of the database after the transaction, 0 in frames that do not end one.
    const isCommit = belongs && frame.readUInt32BE(4) > 0;
    if (checksum !== null) checksum = belongs ? follow(checksum, frame, frameBytes, header.isBigEndian) : null;
    if (!isCommit) continue;
    if (checksum === null) laterCommits += 1;
    else frames = count + 1;
  }
}

async function readIndex(path: string): Promise<WalIndex | null> {
  const handle = await openOrNull(path);
  if (handle === null) return null;
  try {
    return parseWalIndex(await readAt(handle, 0, 128));
  } finally {
    await handle.close();
  }
}

/** The checksum after a frame; null when the frame has another or is cut off. */
function follow(before: Checksum, frame: Buffer, frameBytes: number, isBigEndian: boolean): Checksum | null {
  if (frame.length < frameBytes) return null;
  const head = add(before, frame.subarray(0, 8), isBigEndian);
  const sum = add(head, frame.subarray(FRAME_HEADER_BYTES), isBigEndian);
  return sum[0] === frame.readUInt32BE(16) && sum[1] === frame.readUInt32BE(20) ? sum : null;
}

/** The header; null when SQLite would ignore it and the whole log. */
function readHeader(bytes: Buffer): Header | null {
  if (bytes.length < HEADER_BYTES) return null;
  const magic = bytes.readUInt32BE(0);
  const pageBytes = bytes.readUInt32BE(8);
  const isPowerOfTwo = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0;
  if ((magic & ~1) !== MAGIC || bytes.readUInt32BE(4) !== VERSION || !isPowerOfTwo) return null;
  const isBigEndian = (magic & 1) === 1;
  const checksum = add([0, 0], bytes.subarray(0, 24), isBigEndian);
  if (checksum[0] !== bytes.readUInt32BE(24) || checksum[1] !== bytes.readUInt32BE(28)) return null;
  return { isBigEndian, pageBytes, salts: bytes.subarray(16, 24), checksum };
}

/** The checksum of SQLite's file format, section 4.2. */
function add([first, second]: Checksum, bytes: Buffer, isBigEndian: boolean): Checksum {
  let [one, two] = [first, second];
  const word = (position: number) => (isBigEndian ? bytes.readUInt32BE(position) : bytes.readUInt32LE(position));
  for (let position = 0; position + 8 <= bytes.length; position += 8) {
    one = (one + word(position) + two) >>> 0;
    two = (two + word(position + 4) + one) >>> 0;
  }
  return [one, two];
}

/** The bytes at a position; fewer at the end of the file. */
async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function openOrNull(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

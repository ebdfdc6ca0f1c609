import { DarkroomError, expectedMessage } from '../../../shared/errors.ts';
import { unsupported } from './image-header.ts';
import {
  firstDirectory,
  readDirectory,
  readNumber,
  readNumbers,
  type TiffField,
  type TiffStructure,
} from './tiff-directory.ts';

/** Tags that tell which directory holds the picture (TIFF 6.0, appendix A; SubIFDs: TIFF supplement 1). */
const TAGS = {
  newSubfileType: 254,
  subfileType: 255,
  width: 256,
  height: 257,
  photometric: 262,
  subDirectories: 330,
} as const;

/** Bits of NewSubfileType: a reduced picture, a transparency mask. */
const REDUCED_FLAG = 1;
const MASK_FLAG = 4;
/** SubfileType, the older tag: a reduced picture. */
const REDUCED = 2;
/** PhotometricInterpretation of sensor data: a colour filter array (TIFF/EP), and RGB before development (DNG 1.4). */
const SENSOR_DATA: ReadonlySet<number> = new Set([32_803, 34_892]);
/** Bytes 8 and 9 of RAW files whose tags do not show it: Canon's CR2, and Phase One's IIQ in either byte order. */
const RAW_SIGNATURES: ReadonlySet<string> = new Set(['CR', 'II', 'MM']);

/** The most directories in the chain; reading each costs time here, and again in libtiff. */
const MAX_PAGES = 4096;
/** The most fields over all directories. */
const MAX_FIELDS = 1_000_000;
/** The most SubIFDs that are read. */
const MAX_SUB_DIRECTORIES = 100;

/** The fields of one directory by tag; where a tag occurs twice, the first, as libtiff has it. */
export type TiffFields = ReadonlyMap<number, TiffField>;

/** One directory, and where sharp finds it. */
interface Directory {
  readonly fields: TiffFields;
  /** Its place in the chain of directories, or that of the directory whose SubIFD it is. */
  readonly page: number;
  /** Its place among that directory's SubIFDs; undefined for a directory of the chain. */
  readonly subifd: number | undefined;
  /** True for a picture of its own: neither a thumbnail nor a mask. */
  readonly isFull: boolean;
  readonly isSensorData: boolean;
  /** Pixels. */
  readonly area: number;
}

/** The directory of a TIFF that holds the picture. */
export interface MainDirectory extends Pick<Directory, 'fields' | 'page' | 'subifd'> {
  /** Pages in the file, without thumbnails and masks; at least 1. */
  readonly pages: number;
}

/** Reads directories, and counts their fields over all of them. */
class DirectoryReader {
  readonly #tiff: TiffStructure;
  readonly #tags: ReadonlySet<number>;
  #fieldsLeft = MAX_FIELDS;

  constructor(tiff: TiffStructure, tags: ReadonlySet<number>) {
    this.#tiff = tiff;
    this.#tags = tags;
  }

  /** The directory at `offset`, and the offset of the next one in the chain, 0 after the last. */
  async read(offset: number, page: number, subifd?: number): Promise<{ directory: Directory; next: number }> {
    const fields = new Map<number, TiffField>();
    const next = await readDirectory(this.#tiff, offset, (field) => {
      this.#fieldsLeft -= 1;
      if (this.#fieldsLeft < 0) throw tooLarge(`${MAX_FIELDS} fields in all directories`);
      if (this.#tags.has(field.tag) && !fields.has(field.tag)) fields.set(field.tag, field);
    });
    return { directory: { fields, page, subifd, ...(await this.#describe(fields)) }, next };
  }

  /** The offsets of a directory's SubIFDs. */
  async subDirectories({ fields }: Directory): Promise<number[]> {
    const field = fields.get(TAGS.subDirectories);
    return field === undefined ? [] : readNumbers(this.#tiff, field, MAX_SUB_DIRECTORIES);
  }

  async #describe(fields: TiffFields): Promise<Pick<Directory, 'isFull' | 'isSensorData' | 'area'>> {
    const numberOf = async (tag: number) => {
      const field = fields.get(tag);
      return field && (await readNumber(this.#tiff, field));
    };
    const type = await numberOf(TAGS.newSubfileType);
    const isReduced = type === undefined ? (await numberOf(TAGS.subfileType)) === REDUCED : (type & REDUCED_FLAG) !== 0;
    const isMask = ((type ?? 0) & MASK_FLAG) !== 0;
    const isSensorData = SENSOR_DATA.has((await numberOf(TAGS.photometric)) ?? 0);
    const area = ((await numberOf(TAGS.width)) ?? 0) * ((await numberOf(TAGS.height)) ?? 0);
    return { isFull: !isReduced && !isMask, isSensorData, area };
  }
}

/**
 * Finds the picture in a TIFF: the first directory of the chain that is neither a thumbnail nor a mask; without one, the
 * first such SubIFD of the first directory (TIFF/EP); without that, the largest directory. `wanted` are the tags that the
 * caller needs. Throws UNSUPPORTED_IMAGE for camera RAW, IMAGE_CORRUPT when the first directory exceeds the file, and
 * IMAGE_TOO_LARGE for too many directories or fields.
 */
export async function findMainDirectory(tiff: TiffStructure, wanted: ReadonlySet<number>): Promise<MainDirectory> {
  if (await isMarkedRaw(tiff)) throw cameraRaw();
  const reader = new DirectoryReader(tiff, new Set([...wanted, ...Object.values(TAGS)]));
  const { directory: first, next } = await reader.read(await firstDirectory(tiff), 0);
  let [full, largest] = [first.isFull ? first : undefined, first];
  let pages = first.isFull ? 1 : 0;
  for await (const directory of readOthers(reader, first, next)) {
    if (directory.isFull && directory.isSensorData) throw cameraRaw();
    if (directory.isFull && directory.subifd === undefined) pages += 1;
    if (directory.isFull) full ??= directory;
    if (directory.area > largest.area) largest = directory;
  }
  const main = full ?? largest;
  if (main.isSensorData) throw cameraRaw();
  return { ...main, pages: Math.max(1, pages) };
}

/** The rest of the chain, then the SubIFDs of the first directory. */
async function* readOthers(reader: DirectoryReader, first: Directory, next: number): AsyncGenerator<Directory> {
  yield* readChain(reader, next);
  yield* readSubDirectories(reader, first);
}

/** The directories after the first. Like libtiff, it takes a directory that cannot be read as the chain's end. */
async function* readChain(reader: DirectoryReader, start: number): AsyncGenerator<Directory> {
  const seen = new Set<number>();
  for (let offset = start; offset !== 0 && !seen.has(offset); ) {
    seen.add(offset);
    if (seen.size >= MAX_PAGES) throw tooLarge(`${MAX_PAGES} pages`);
    const found = await readOrNothing(reader, offset, seen.size);
    if (found === null) return;
    yield found.directory;
    offset = found.next;
  }
}

async function* readSubDirectories(reader: DirectoryReader, parent: Directory): AsyncGenerator<Directory> {
  for (const [index, offset] of (await reader.subDirectories(parent)).entries()) {
    const found = await readOrNothing(reader, offset, parent.page, index);
    if (found !== null) yield found.directory;
  }
}

/** The directory at `offset`; null when it cannot be read. */
async function readOrNothing(reader: DirectoryReader, offset: number, page: number, subifd?: number) {
  try {
    return await reader.read(offset, page, subifd);
  } catch (error) {
    if (error instanceof DarkroomError && error.code === 'IMAGE_CORRUPT') return null;
    throw error;
  }
}

async function isMarkedRaw({ reader, base, end, big }: TiffStructure): Promise<boolean> {
  if (big || base + 10 > end) return false;
  await reader.need(base, 10, 'the TIFF header', end);
  return RAW_SIGNATURES.has(reader.latin1(base + 8, 2));
}

function tooLarge(most: string): DarkroomError {
  return new DarkroomError('IMAGE_TOO_LARGE', expectedMessage(`at most ${most}`, 'the TIFF', 'more'));
}

function cameraRaw(): DarkroomError {
  return unsupported('a developed picture', 'the TIFF', 'camera RAW');
}

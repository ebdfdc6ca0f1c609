import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { DarkroomError, invalid } from '../../shared/errors.ts';
import { formatOfExtension } from '../http/formats.ts';
import { isFolder } from '../http/is-folder.ts';
import { grabFrame } from './ffmpeg.ts';

const DEFAULT_DEVICE = '/dev/video0';
/** The most milliseconds and bytes for a picture that is fetched. */
const FETCH_MS = 10_000;
const MAX_FETCH_BYTES = 50 * 1024 * 1024;
const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Takes a frame and resolves with it as a PNG. */
export type Source = (signal: AbortSignal) => Promise<Buffer>;

/** A camera device, or a file, folder or URL in its place; at most one of the two flags. */
export interface SourceFlags {
  readonly device?: string;
  readonly source?: string;
}

/**
 * The source of frames: a device, a file that is read again for each frame, a folder whose pictures come in turn, or a
 * URL. Throws BAD_REQUEST when both flags are given, and for a path that does not exist.
 */
export async function openSource({ device, source }: SourceFlags): Promise<Source> {
  if (source === undefined) return (signal) => grabFrame(device ?? DEFAULT_DEVICE, signal);
  if (device !== undefined) throw invalid('no --source beside --device', '--source', source);
  const read = await openPictures(source);
  return async (signal) => asPng(await read(signal));
}

async function openPictures(source: string): Promise<Source> {
  if (/^https?:\/\//i.test(source)) return (signal) => fetchPicture(source, signal);
  if (!(await isFolder(source, 'a file, folder or URL', '--source'))) return (signal) => readFile(source, { signal });
  let taken = 0;
  return async (signal) => {
    const pictures = (await readdir(source)).sort().filter(isPicture);
    const next = pictures[taken % Math.max(pictures.length, 1)];
    if (next === undefined) throw invalid('a folder with pictures', '--source', source);
    taken += 1;
    return readFile(join(source, next), { signal });
  };
}

function isPicture(name: string): boolean {
  const format = formatOfExtension(extname(name));
  // The camera makes PNG without the service, by sharp, which does not read HEIC.
  return !name.startsWith('.') && format !== undefined && format !== 'heic';
}

async function fetchPicture(url: string, signal: AbortSignal): Promise<Buffer> {
  const { request } = await import('undici');
  const { statusCode, body } = await request(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_FETCH_BYTES) {
      throw new DarkroomError(
        'PAYLOAD_TOO_LARGE',
        `Expected at most ${MAX_FETCH_BYTES} bytes from ${url}, received more`,
      );
    }
    chunks.push(chunk);
  }
  if (statusCode === 200) return Buffer.concat(chunks);
  throw new DarkroomError('SOURCE_ERROR', `Expected a picture at ${url}, received status ${statusCode}`);
}

/** A PNG stays as it is; any other picture is converted to PNG. */
async function asPng(picture: Buffer): Promise<Buffer> {
  if (picture.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) return picture;
  const { toPng } = await import('../../server-b/operations/to-png.ts');
  return toPng(picture);
}

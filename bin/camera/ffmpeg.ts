import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DarkroomError, systemCode } from '../../shared/errors.ts';

const run = promisify(execFile);

/** Milliseconds a camera may take to give a frame. */
const FRAME_MS = 15_000;
/** Bytes of a frame. */
const MAX_FRAME_BYTES = 128 * 1024 * 1024;

/**
 * One frame of a Video4Linux camera as a PNG, by an ffmpeg of its own, so that the camera is free in between. Throws
 * SOURCE_ERROR when there is no ffmpeg, or in ffmpeg's own words.
 */
export async function grabFrame(device: string, signal: AbortSignal): Promise<Buffer> {
  const input = ['-hide_banner', '-loglevel', 'error', '-nostdin', '-f', 'v4l2', '-i', device];
  const output = ['-frames:v', '1', '-c:v', 'png', '-f', 'image2pipe', 'pipe:1'];
  try {
    const { stdout } = await run('ffmpeg', [...input, ...output], {
      encoding: 'buffer',
      maxBuffer: MAX_FRAME_BYTES,
      timeout: FRAME_MS,
      killSignal: 'SIGKILL',
      signal,
    });
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    throw new DarkroomError('SOURCE_ERROR', `Expected a frame of ${device}, received ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function reasonOf(error: unknown): string {
  if (systemCode(error) === 'ENOENT') return 'no ffmpeg: install it, or name a picture with --source';
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().replace(/\s+/g, ' ') : '';
  if (said !== '') return `'${said.slice(0, 300)}' from ffmpeg`;
  return `none within ${FRAME_MS / 1000} s`;
}

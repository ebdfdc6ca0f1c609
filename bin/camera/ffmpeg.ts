import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DarkroomError, systemCode } from '../../shared/errors.ts';

const run = promisify(execFile);

/** Milliseconds that a camera may take for a frame. */
const FRAME_MS = 15_000;
/** The most bytes of a frame. */
const MAX_FRAME_BYTES = 128 * 1024 * 1024;

/**
 * One frame of a Video4Linux camera as a PNG. Each frame starts a new ffmpeg, so that other programs can use the camera
 * between frames. Throws SOURCE_ERROR when ffmpeg is not installed, or with ffmpeg's own message.
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
    throw new DarkroomError('SOURCE_ERROR', `${device} gave no frame: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  if (systemCode(error) === 'ENOENT') return 'ffmpeg is not installed; install it, or name a picture with --source';
  const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().replace(/\s+/g, ' ') : '';
  if (output !== '') return `ffmpeg wrote '${output.slice(0, 300)}'`;
  return `ffmpeg ended without one, or did not end within ${FRAME_MS / 1000} s`;
}

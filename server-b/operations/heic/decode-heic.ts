import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import type { PictureLimits } from '../../../shared/config.ts';
import { DarkroomError } from '../../../shared/errors.ts';
import { heicGrowth } from '../../../shared/heic-cost.ts';
import type { ImageHeader } from '../../../shared/image-header.ts';
import { checkInputLimits, countPixels } from '../../../shared/limits.ts';
import type { Deadline } from '../deadline.ts';
import { Picture } from '../picture.ts';
import { type Raster, rasterize } from '../raster.ts';
import { profileOf } from './colour-profile.ts';
import { type Decoded, type ThreadReply, type ThreadTask, threadReplySchema } from './messages.ts';
import { withProfile } from './tiff.ts';

/** What the Node typings do not have of WebAssembly. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<object> };

/** The compiled WebAssembly of libheif, which this thread loads with its first HEIC and keeps. */
let compiled: Promise<object> | null = null;

/**
 * Decodes a HEIC in a thread of its own, and gives it as a picture that is already decoded: sRGB, 8 bits, upright. At the
 * deadline the thread is ended, whatever it does. Throws TIMEOUT then, IMAGE_CORRUPT when the picture cannot be decoded
 * or is not what `announced` says, and IMAGE_TOO_LARGE when it exceeds `limits`.
 */
export async function openHeic(
  body: Uint8Array<ArrayBuffer>,
  announced: ImageHeader,
  limits: PictureLimits,
  deadline: Deadline,
): Promise<Picture> {
  checkInputLimits(announced, limits);
  const maxBytes = heicGrowth(body.length, announced);
  const decoded = await decodeInThread({ module: await loadModule(), file: body, maxBytes }, deadline);
  const { width, height, channels } = decoded;
  const { codedPixels: _coded, ...rest } = announced;
  const header: ImageHeader = { ...rest, width, height, channels, alpha: channels === 4, depth: 8 };
  if (countPixels(header) > countPixels(announced) || channels > announced.channels) {
    throw corrupt(`a picture larger than its header: ${width}×${height} with ${channels} channels`);
  }
  return Picture.decoded(await toSrgb(decoded, deadline), header, limits, deadline);
}

function loadModule(): Promise<object> {
  compiled ??= readFile(createRequire(import.meta.url).resolve('libheif-js/libheif-wasm/libheif.wasm')).then((wasm) =>
    WebAssembly.compile(wasm),
  );
  return compiled;
}

async function decodeInThread(task: ThreadTask, deadline: Deadline): Promise<Decoded> {
  deadline.check();
  const thread = new Worker(new URL('./thread.js', import.meta.url), {
    workerData: task,
    transferList: [task.file.buffer],
  });
  try {
    const reply = await replyOf(thread, deadline);
    if (reply.kind === 'failed') throw corrupt(reply.reason);
    return reply;
  } finally {
    await thread.terminate();
  }
}

/** The reply of a thread. Rejects with TIMEOUT at the deadline, and with IMAGE_CORRUPT when the thread ends without one. */
function replyOf(thread: Worker, deadline: Deadline): Promise<ThreadReply> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(deadline.error()), deadline.millisecondsLeft());
    thread.once('message', (message: unknown) => {
      clearTimeout(late);
      const reply = threadReplySchema.safeParse(message);
      if (reply.success) resolve(reply.data);
      else reject(reply.error);
    });
    thread.once('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
    thread.once('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`The thread that decodes a HEIC ended with ${code} and without a reply.`));
    });
  });
}

/** The pixels in sRGB. libvips converts them, as it does for the other formats, so they are given to it as a TIFF. */
async function toSrgb(
  { pixels, width, height, channels, icc, primaries }: Decoded,
  deadline: Deadline,
): Promise<Raster> {
  const raster: Raster = { pixels, width, height, channels };
  const profile = icc ?? profileOf(primaries);
  if (profile === null) return raster;
  const tiff = withProfile(raster, profile);
  return rasterize(sharp(tiff, { limitInputPixels: false }).timeout({ seconds: deadline.secondsLeft() }));
}

function corrupt(reason: string): DarkroomError {
  const message = 'Expected a whole heic picture, received one that cannot be decoded';
  return new DarkroomError('IMAGE_CORRUPT', message, { cause: new Error(reason) });
}

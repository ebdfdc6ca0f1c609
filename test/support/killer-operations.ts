import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPERATIONS, type Operation } from '../../server-b/operations/index.ts';
import type { Picture } from '../../server-b/operations/picture.ts';

/** Side in pixels of the square pictures at which an operation misbehaves. */
export const KILLERS = { abortsProcess: 13, exitsThread: 17, hangs: 19, throws: 23, waits: 29 } as const;
/** A picture of KILLERS.waits is done only when the data folder of its Server B has a file of this name. */
export const RELEASE_FILE = 'release';
/** In the same folder; the process id of the Server B that began a picture of KILLERS.waits last. */
export const RUNNER_FILE = 'runner';
/** How long a picture of KILLERS.hangs blocks its thread, in milliseconds. */
const HANG_MS = 60_000;

export const resize = misbehaving(OPERATIONS.resize);
export const circle = misbehaving(OPERATIONS.circle);
export const classify = misbehaving(OPERATIONS.classify);
export const placeholder = misbehaving(OPERATIONS.placeholder);

function misbehaving({ perform }: Operation): Operation {
  return {
    perform: async (picture, spec, model) => {
      misbehave(picture);
      if (isSquareOf(picture, KILLERS.waits)) await released();
      return perform(picture, spec, model);
    },
  };
}

/** Behaves like faulty native code for pictures of certain sizes. */
function misbehave({ width, height }: Picture): void {
  if (width !== height) return;
  // A thread has no process.abort(), so this sends the signal that it would raise.
  if (width === KILLERS.abortsProcess) process.kill(process.pid, 'SIGABRT');
  if (width === KILLERS.exitsThread) process.exit(1);
  if (width === KILLERS.hangs) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HANG_MS);
  if (width === KILLERS.throws) throw new Error('thrown by the killer operations');
}

function isSquareOf({ width, height }: Picture, side: number): boolean {
  return width === side && height === side;
}

async function released(): Promise<void> {
  const folder = process.env['DARKROOM_B_DATA_DIR'] ?? '';
  writeFileSync(join(folder, RUNNER_FILE), String(process.pid));
  while (!existsSync(join(folder, RELEASE_FILE))) await sleep(20);
}

import { type ChildProcess, fork } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dismiss, nextMessage, pidOf } from '../child.ts';
import { freePort } from '../free-port.ts';
import type { Load } from '../load/load.ts';
import type { LoadRequest } from '../load/messages.ts';
import { treeOf } from '../processes.ts';
import type { Work } from '../work.ts';
import { formUploads } from './form-uploads.ts';
import { HttpSubject } from './http-subject.ts';

/** `bench/peers/koa-sharp.ts`: what one would write instead. */
export class KoaSharp extends HttpSubject {
  readonly name = 'Koa + sharp';
  readonly origin: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, origin: string, folder: string, load: Load) {
    super(load);
    this.#child = child;
    this.origin = origin;
    this.#folder = folder;
  }

  /** Starts it; it writes below `folder`. Resolves when it listens. */
  static async start(folder: string, model: string | null, load: Load): Promise<KoaSharp> {
    const files = join(folder, 'koa-sharp');
    await mkdir(files);
    const port = await freePort();
    const script = fileURLToPath(new URL('../peers/koa-sharp.js', import.meta.url));
    const child = fork(script, [String(port), files, model ?? '']);
    await nextMessage(child);
    return new KoaSharp(child, `http://127.0.0.1:${port}`, folder, load);
  }

  requestsOf(work: Work): Promise<LoadRequest[]> {
    return formUploads(work, this.#folder);
  }

  pids(): number[] {
    return treeOf(pidOf(this.#child));
  }

  close(): Promise<void> {
    return dismiss(this.#child);
  }
}

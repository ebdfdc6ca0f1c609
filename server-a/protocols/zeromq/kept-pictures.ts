import { Readable } from 'node:stream';
import { DarkroomError, invalid, shuttingDown } from '../../../shared/errors.ts';
import { DEFAULT_TOP_K } from '../../../shared/operations/classify.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { ORIGINAL } from '../../../shared/operations/outputs.ts';
import { Semaphore } from '../../../shared/semaphore.ts';
import { hasEnded } from '../../../shared/task.ts';
import type { Presets } from '../../tasks/presets.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { pictureAnswer } from './picture-answer.ts';
import { type Request, readImageData, readImageId, readName, readSide, readSpecs } from './request.ts';

/** Pictures in memory at once, received and sent ones together. */
const PICTURES_IN_MEMORY = 4;
/** Seconds a resize may take, including the time in the queue. */
const RESIZE_SECONDS = 300;
/** Bytes of one write to the spool. */
const PIECE_BYTES = 1024 * 1024;
const CLASSIFY: OutputSpec = { name: 'classify', operation: 'classify', top_k: DEFAULT_TOP_K };
const RESIZE = 'resize';

export interface KeptPicturesOptions {
  readonly tasks: Tasks;
  readonly presets: Presets;
  /** Aborts when the server closes: uploads and waits for resizes then end. */
  readonly signal: AbortSignal;
}

/** Uploads, returns and resizes pictures that the server keeps (docs/zeromq.md). */
export class KeptPictures {
  readonly #options: KeptPicturesOptions;
  readonly #memory = new Semaphore(PICTURES_IN_MEMORY);

  constructor(options: KeptPicturesOptions) {
    this.#options = options;
  }

  /** Throws BAD_REQUEST and what {@link Tasks.receive} and {@link Tasks.submit} throw. */
  async upload(request: Request): Promise<object> {
    const specs = readSpecs(request, this.#options.presets) ?? [CLASSIFY];
    const { task_id } = await this.#memory.use(() => this.#keep(readImageData(request), specs));
    return { status: 'success', message: 'Image uploaded successfully', image_id: task_id };
  }

  /** Throws BAD_REQUEST and what {@link Tasks.result} throws. */
  retrieve(request: Request): Promise<object> {
    return this.#pictureOf(readImageId(request), readName(request) ?? ORIGINAL);
  }

  /** Throws BAD_REQUEST, TIMEOUT, and what {@link Tasks.submitKept} and {@link Tasks.result} throw. */
  async resize(request: Request): Promise<object> {
    const id = readImageId(request);
    const [width, height] = [readSide(request, 'width'), readSide(request, 'height')];
    const { tasks, signal } = this.#options;
    const resize: OutputSpec = { name: RESIZE, operation: 'resize', width, height, fit: 'fill', format: 'png' };
    const { task_id } = await tasks.submitKept(id, [resize]);
    const task = await tasks.wait(task_id, RESIZE_SECONDS * 1000, signal);
    if (!hasEnded(task.status)) await tasks.cancel(task_id);
    try {
      if (!hasEnded(task.status)) throw unfinished(signal);
      return await this.#pictureOf(task_id, RESIZE);
    } finally {
      await tasks.tryForget(task_id);
    }
  }

  async #keep(bytes: Buffer, specs: readonly OutputSpec[]) {
    const { tasks, signal } = this.#options;
    const source = Readable.from(pieces(bytes));
    const received = await tasks.receive(source, { filename: null, bytes: bytes.length, signal });
    return tasks.submit(received, specs, { keep: true });
  }

  async #pictureOf(id: string, name: string): Promise<object> {
    const result = await this.#options.tasks.result(id, name);
    if (result.kind !== 'picture') throw invalid('the name of a picture', 'name', name);
    return this.#memory.use(() => pictureAnswer(result.picture));
  }
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) yield bytes.subarray(start, start + PIECE_BYTES);
}

function unfinished(signal: AbortSignal): DarkroomError {
  if (signal.aborted) return shuttingDown();
  return new DarkroomError('TIMEOUT', `The resize was not done within ${RESIZE_SECONDS} seconds.`);
}

import { Readable } from 'node:stream';
import { DarkroomError, invalid } from '../../../shared/errors.ts';
import { DEFAULT_TOP_K } from '../../../shared/operations/classify.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { ORIGINAL } from '../../../shared/operations/outputs.ts';
import { hasEnded } from '../../../shared/task.ts';
import type { Presets } from '../../tasks/presets.ts';
import type { Tasks } from '../../tasks/tasks.ts';
import { pictureAnswer } from './picture-answer.ts';
import { Places } from './places.ts';
import { type Request, readImageData, readImageId, readName, readSide, readSpecs } from './request.ts';

/** Pictures whose bytes are in memory at once, as they come in and as they go out. */
const PICTURES_AT_ONCE = 4;
/** Seconds a resize may take, waiting included. */
const RESIZE_SECONDS = 300;
/** Bytes given to the spool at once. */
const PIECE_BYTES = 1024 * 1024;
const CLASSIFY: OutputSpec = { name: 'classify', operation: 'classify', top_k: DEFAULT_TOP_K };
const RESIZE = 'resize';

export interface KeptPicturesOptions {
  readonly tasks: Tasks;
  readonly presets: Presets;
  /** When it aborts, pictures that come in are given up, and resizes are waited for no longer. */
  readonly signal: AbortSignal;
}

/** Pictures handed in, given back and resized (docs/zeromq.md). */
export class KeptPictures {
  readonly #options: KeptPicturesOptions;
  readonly #places = new Places(PICTURES_AT_ONCE);

  constructor(options: KeptPicturesOptions) {
    this.#options = options;
  }

  /** Throws BAD_REQUEST and what {@link Tasks.receive} and {@link Tasks.submit} throw. */
  async upload(request: Request): Promise<object> {
    const specs = readSpecs(request, this.#options.presets) ?? [CLASSIFY];
    const { task_id } = await this.#places.use(() => this.#keep(readImageData(request), specs));
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
      await tasks.letGo(task_id);
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
    return this.#places.use(() => pictureAnswer(result.path, result.bytes));
  }
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) yield bytes.subarray(start, start + PIECE_BYTES);
}

function unfinished(signal: AbortSignal): DarkroomError {
  if (signal.aborted)
    return new DarkroomError('DRAINING', 'Expected a server that runs, received one that is stopping');
  return new DarkroomError('TIMEOUT', `Expected a resize within ${RESIZE_SECONDS} seconds, received none`);
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { deflateSync } from 'node:zlib';
import type { Dispatch, Job, StoredOutput } from '../../../server-a/dispatch/contract.ts';
import type { ReceivedPicture } from '../../../server-a/intake/receive.ts';
import { SMALL_PICTURE_BYTES } from '../../../server-a/pictures/new-picture.ts';
import { SYSTEM, type System } from '../../../server-a/system.ts';
import type { TasksOptions } from '../../../server-a/tasks/parts.ts';
import type { Result } from '../../../server-a/tasks/result.ts';
import { Tasks } from '../../../server-a/tasks/tasks.ts';
import { isErrorCode } from '../../../shared/errors.ts';
import { createLogger } from '../../../shared/log.ts';
import type { OutputSpec } from '../../../shared/operations/index.ts';
import { hasEnded, type OutputHeader, type Task } from '../../../shared/task.ts';
import { bytes, chunk, pngStart } from '../../support/hand-made.ts';
import { pictureNames } from '../../support/stored-pictures.ts';

export const silent = createLogger('test', 'silent');
/** A signal that never aborts. */
export const forever = new AbortController().signal;
/** The calls that a test listens to; `memoryBytes` is null where it is missing. */
type Target = Omit<Dispatch, 'memoryBytes'> & Partial<Dispatch>;

/** A dispatcher that runs nothing. */
const idle: Target = { enqueue: () => undefined, cancel: () => undefined };

/** A dispatcher that passes all calls to `target`, which a test may set at any time. Until then it does nothing. */
export class TestDispatcher implements Dispatch {
  target: Target = idle;

  get memoryBytes(): number | null {
    return this.target.memoryBytes ?? null;
  }

  enqueue(id: string, suspect: boolean): void {
    this.target.enqueue(id, suspect);
  }

  cancel(id: string): void {
    this.target.cancel(id);
  }
}

/** Opens tasks whose dispatcher a test may replace. */
export function openTasks(
  options: TasksOptions,
  log = silent,
  system: System = SYSTEM,
): Promise<Tasks<TestDispatcher>> {
  return Tasks.open(options, log, () => new TestDispatcher(), system);
}

export const RESIZE: OutputSpec = { name: 'resize', operation: 'resize', scale_factor: 0.5 };
export const CLASSIFY: OutputSpec = { name: 'classify', operation: 'classify', top_k: 1 };

/**
 * A folder for each test of the surrounding suite, or one for all. The folders are removed after the last test, when
 * the hooks of all tests have closed their files.
 */
export function useTemporaryFolder(often: 'each' | 'once' = 'each'): () => string {
  const folders: string[] = [];
  (often === 'each' ? beforeEach : before)(async () => {
    folders.push(await mkdtemp(join(tmpdir(), 'darkroom-tasks-')));
  });
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));
  return () => folders.at(-1) ?? '';
}

/** Opens tasks in a new folder for each test of the surrounding suite, and closes them after the test. */
export function useTasks() {
  const folder = useTemporaryFolder();
  const opened: Tasks[] = [];
  afterEach(async () => {
    for (const tasks of opened.splice(0)) await tasks.close();
  });
  const open = async (
    changes: Partial<TasksOptions> = {},
    system: Partial<System> = {},
  ): Promise<Tasks<TestDispatcher>> => {
    const tasks = await openTasks({ ...defaultOptions(folder()), ...changes }, silent, { ...SYSTEM, ...system });
    opened.push(tasks);
    return tasks;
  };
  return { folder, open, pictures: () => pictureNames(folder()) };
}

/** Opens tasks once for all tests of the surrounding suite. To open them starts a thread, which takes time. */
export function useSharedTasks() {
  const folder = useTemporaryFolder('once');
  let tasks: Tasks<TestDispatcher>;
  before(async () => {
    tasks = await openTasks(defaultOptions(folder()));
  });
  after(() => tasks.close());
  return { folder, tasks: () => tasks, pictures: () => pictureNames(folder()) };
}

export function defaultOptions(dataDir: string): TasksOptions {
  return {
    dataDir,
    keepHours: 24,
    keepImageHours: 720,
    maxQueued: 1000,
    maxListed: 1000,
    maxSpoolMb: 1024,
    maxUploadMb: 1,
    memoryMb: 512,
    maxPixels: 1_000_000,
    maxSide: 10_000,
    maxDecodedMb: 100,
    maxFrames: 1000,
    maxAnimationSeconds: 10,
    heic: true,
    fetchAtOnce: 4,
    fetchSeconds: 10,
    maxFetchMb: 1,
    allowPrivateUrls: true,
    quarantineHours: 24,
  };
}

/** The tasks, with some methods replaced. */
export function replacing(tasks: Tasks, methods: Partial<Tasks>): Tasks {
  return new Proxy(tasks, {
    get: (target, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A small PNG; `shade` makes it another one. Made without sharp, which takes long to load in each process. */
export async function makePicture(shade = 0, width = 8, height = 6): Promise<Buffer> {
  const row = bytes(0, ...Array.from({ length: width }, () => bytes(shade % 256, 100, 200)));
  const pixels = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  return bytes(pngStart(width, height, 8, 2), chunk('IDAT', pixels), chunk('IEND'));
}

/** A PNG of a little more than `length` bytes, nearly all of them in a chunk that decoders skip (ISO/IEC 15948, 5.4). */
export function makeLargePicture(length = SMALL_PICTURE_BYTES): Buffer {
  const pixels = deflateSync(bytes(0, 1, 2, 3));
  return bytes(pngStart(1, 1, 8, 2), chunk('ruST', Buffer.alloc(length)), chunk('IDAT', pixels), chunk('IEND'));
}

export async function receivePicture(tasks: Tasks, content?: Buffer): Promise<ReceivedPicture> {
  const picture = content ?? (await makePicture());
  return tasks.receive(Readable.from([picture]), { filename: 'cat.png', bytes: picture.length, signal: forever });
}

export async function submitPicture(tasks: Tasks, specs = [RESIZE], content?: Buffer): Promise<Task> {
  return tasks.submit(await receivePicture(tasks, content), specs);
}

export async function beginJob(tasks: Tasks, id: string): Promise<Job> {
  const job = await tasks.records.begin(id);
  if (job === null) throw new Error(`Expected ${id} to begin`);
  return job;
}

/** Ends a task and removes it, so that another test finds no trace of it. */
export async function discardTask(tasks: Tasks, id: string): Promise<void> {
  if (!hasEnded(tasks.get(id).status)) await tasks.cancel(id);
  await tasks.forget(id);
}

/** The bytes of a result that is a picture. */
export async function bytesOf(result: Result): Promise<Buffer> {
  if (result.kind !== 'picture') throw new Error('Expected a picture, received data');
  return buffer(await result.picture.stream(1000));
}

/** The picture that a job works on. */
export function readInput(tasks: Tasks, job: Job): Promise<Buffer> {
  return buffer(tasks.records.readInput(job, Buffer.alloc(job.bytes)));
}

/** Writes and commits a picture output like the dispatcher. Resolves with its description. */
export async function storeOutput(
  tasks: Tasks,
  job: Job,
  content: Buffer,
  name: 'resize' | 'circle' = 'resize',
): Promise<StoredOutput> {
  const file = await tasks.records.createOutput(job, name);
  await file.write(content);
  return { header: pictureHeader(name, content.length), sha256: await file.commit() };
}

export function pictureHeader(name: 'resize' | 'circle', length: number): OutputHeader {
  return { kind: 'picture', name, operation: name, format: 'png', width: 4, height: 3, frames: 1, bytes: length };
}

export const LABELS: StoredOutput = {
  header: {
    kind: 'data',
    name: 'classify',
    operation: 'classify',
    data: { model: 'test', labels: [{ index: 281, wnid: 'n02123045', label: 'tabby', probability: 0.5 }] },
  },
  sha256: null,
};

export function failed(operation: 'resize' | 'circle' | 'classify', message: string): StoredOutput {
  return { header: { kind: 'failure', name: operation, operation, error: { code: 'TIMEOUT', message } }, sha256: null };
}

/** The error code of a promise or a function; 'none' if it does not fail, the message if the error has no code. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work);
    return 'none';
  } catch (error) {
    if (error instanceof Error && 'code' in error && isErrorCode(String(error.code))) return String(error.code);
    return error instanceof Error ? error.message : String(error);
  }
}

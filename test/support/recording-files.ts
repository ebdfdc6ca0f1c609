import type { FileHandle } from 'node:fs/promises';
import { relative } from 'node:path';
import { type FileSystem, NODE_FILES } from '../../shared/file-system.ts';

/** Methods of an open file that change the disk, and the names under which they are recorded. */
const HANDLE_CALLS: ReadonlyMap<unknown, string> = new Map([
  ['write', 'write'],
  ['writev', 'write'],
  ['writeFile', 'write'],
  ['appendFile', 'write'],
  ['sync', 'fsync'],
]);

/**
 * The real file system below `root`. It records a line for each call that changes the disk, in the order in which calls
 * start. The line also names the calls that are still running, because their order on disk is undefined.
 */
export class RecordingFiles implements FileSystem {
  readonly calls: string[] = [];
  /** The call with this line fails with EIO. */
  failing: string | null = null;
  readonly #root: string;
  readonly #running = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Records a line for a step that is not a file operation, such as a commit. */
  note(line: string): void {
    const open = [...this.#running].map((call) => `${call} is not done`);
    this.calls.push([line, ...open].join(', '));
  }

  /** Returns the lines so far, and removes them. */
  take(): string[] {
    return this.calls.splice(0);
  }

  async open(path: string, flags: string | number, mode?: number): Promise<FileHandle> {
    const handle = await NODE_FILES.open(path, flags, mode);
    if (flags !== 'r') this.note(`create ${this.#name(path)}`);
    return this.#recorded(handle, this.#name(path));
  }

  read(path: string, buffer: Uint8Array): AsyncIterable<Uint8Array> {
    return NODE_FILES.read(path, buffer);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#record(`rename ${this.#name(from)} to ${this.#name(to)}`, () => NODE_FILES.rename(from, to));
  }

  link(existing: string, path: string): Promise<void> {
    return this.#record(`link ${this.#name(existing)} as ${this.#name(path)}`, () => NODE_FILES.link(existing, path));
  }

  unlink(path: string): Promise<void> {
    return this.#record(`unlink ${this.#name(path)}`, () => NODE_FILES.unlink(path));
  }

  stat(path: string): Promise<{ readonly size: number }> {
    return NODE_FILES.stat(path);
  }

  readdir(folder: string) {
    return NODE_FILES.readdir(folder);
  }

  mkdir(folder: string, mode: number): Promise<string | undefined> {
    return this.#record(`mkdir ${this.#name(folder)}`, () => NODE_FILES.mkdir(folder, mode));
  }

  freeBytes(folder: string): number {
    return NODE_FILES.freeBytes(folder);
  }

  #name(path: string): string {
    return relative(this.#root, path) || '.';
  }

  #recorded(handle: FileHandle, name: string): FileHandle {
    return new Proxy(handle, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        const call = HANDLE_CALLS.get(property);
        const method = value.bind(target);
        if (call === undefined) return method;
        return (...parameters: unknown[]) => this.#record(`${call} ${name}`, () => method(...parameters));
      },
    });
  }

  async #record<Value>(call: string, work: () => Promise<Value>): Promise<Value> {
    this.note(call);
    this.#running.add(call);
    try {
      if (call === this.failing) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      return await work();
    } finally {
      this.#running.delete(call);
    }
  }
}

import type { FileHandle } from 'node:fs/promises';
import type { FileSystem } from '../../shared/file-system.ts';

/**
 * Makes names in a folder durable (fsync of the directory, as fsync(2) asks for after a rename). Callers that come
 * while an fsync runs share the next one, since that one began after their renames.
 */
export class FolderSync {
  readonly #handle: FileHandle;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async open(folder: string, files: FileSystem): Promise<FolderSync> {
    return new FolderSync(await files.open(folder, 'r'));
  }

  /** Resolves when every name made or removed before this call is on disk. */
  sync(): Promise<void> {
    this.#next ??= this.#follow(this.#running);
    return this.#next;
  }

  /** Waits for what runs, then closes the folder. */
  async close(): Promise<void> {
    await settled(this.#next ?? this.#running);
    await this.#handle.close();
  }

  async #follow(previous: Promise<void>): Promise<void> {
    await settled(previous);
    this.#running = this.#handle.sync();
    this.#next = null;
    await this.#running;
  }
}

/** A failed fsync is told to its own callers; those of the next one only wait for it to be over. */
function settled(work: Promise<void>): Promise<unknown> {
  return work.catch(() => undefined);
}

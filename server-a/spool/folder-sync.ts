import type { FileHandle } from 'node:fs/promises';
import type { FileSystem } from '../../shared/file-system.ts';

/**
 * Makes names in a folder durable (fsync of the directory after a rename, see fsync(2)). Calls that arrive during an
 * fsync share the next one, which starts after their renames.
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

  /** Resolves when every name that was made or removed before this call is on disk. */
  sync(): Promise<void> {
    this.#next ??= this.#follow(this.#running);
    return this.#next;
  }

  /** Waits for pending fsyncs, then closes the folder. */
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

/** Resolves when `work` has ended. Its own callers get its failure; the next fsync only waits for its end. */
function settled(work: Promise<void>): Promise<unknown> {
  return work.catch(() => undefined);
}

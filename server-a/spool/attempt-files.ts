import type { SpoolFile } from './spool-file.ts';

/** An attempt at a task: the task's id and the number of the attempt. */
export interface AttemptKey {
  readonly id: string;
  readonly attempt: number;
}

/** The output files of running attempts, so that a file outlives its attempt only if a record names it. */
export class AttemptFiles {
  readonly #files = new Map<string, Map<string, SpoolFile>>();

  has(attempt: AttemptKey, name: string): boolean {
    return this.#files.get(keyOf(attempt))?.has(name) ?? false;
  }

  add(attempt: AttemptKey, name: string, file: SpoolFile): void {
    const files = this.#files.get(keyOf(attempt)) ?? new Map<string, SpoolFile>();
    this.#files.set(keyOf(attempt), files.set(name, file));
  }

  /** Ends the attempt: keeps the files named in `kept` and removes the others. */
  async finish(attempt: AttemptKey, kept: readonly string[]): Promise<void> {
    const files = this.#files.get(keyOf(attempt)) ?? new Map<string, SpoolFile>();
    this.#files.delete(keyOf(attempt));
    const others: SpoolFile[] = [];
    for (const [name, file] of files) {
      if (kept.includes(name)) file.keep();
      else others.push(file);
    }
    await Promise.all(others.map((file) => file.discard()));
  }
}

function keyOf({ id, attempt }: AttemptKey): string {
  return `${id}.${attempt}`;
}

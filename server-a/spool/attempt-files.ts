import type { Job } from '../dispatch/contract.ts';
import type { SpoolFile } from './spool-file.ts';

type Attempt = Pick<Job, 'id' | 'attempt'>;

/** The output files of attempts under way, so that none outlives its attempt unless a record names it. */
export class AttemptFiles {
  readonly #files = new Map<string, Map<string, SpoolFile>>();

  has(attempt: Attempt, name: string): boolean {
    return this.#files.get(keyOf(attempt))?.has(name) ?? false;
  }

  add(attempt: Attempt, name: string, file: SpoolFile): void {
    const files = this.#files.get(keyOf(attempt)) ?? new Map<string, SpoolFile>();
    this.#files.set(keyOf(attempt), files.set(name, file));
  }

  /** The attempt is over: the files named stay, the others go. */
  async finish(attempt: Attempt, kept: readonly string[]): Promise<void> {
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

function keyOf({ id, attempt }: Attempt): string {
  return `${id}.${attempt}`;
}

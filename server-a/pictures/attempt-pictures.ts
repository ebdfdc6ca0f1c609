import type { PictureRow } from '../store/statements.ts';
import type { NewPicture } from './new-picture.ts';

/** An attempt at a task: the task's id and the number of the attempt. */
export interface AttemptKey {
  readonly id: string;
  readonly attempt: number;
}

interface Output {
  readonly picture: NewPicture;
  /** Must be written with the end that names the output; empty before it has its name, and for a file. */
  rows: readonly PictureRow[];
}

/** The output pictures of running attempts, so that a picture outlives its attempt only if a record names it. */
export class AttemptPictures {
  readonly #attempts = new Map<string, Map<string, Output>>();

  has(attempt: AttemptKey, name: string): boolean {
    return this.#attempts.get(keyOf(attempt))?.has(name) ?? false;
  }

  add(attempt: AttemptKey, name: string, picture: NewPicture): void {
    const outputs = this.#attempts.get(keyOf(attempt)) ?? new Map<string, Output>();
    this.#attempts.set(keyOf(attempt), outputs.set(name, { picture, rows: [] }));
  }

  /** Notes that an output has its name, and the rows that must be written with the end that names it. */
  placed(attempt: AttemptKey, name: string, rows: readonly PictureRow[]): void {
    const output = this.#attempts.get(keyOf(attempt))?.get(name);
    if (output !== undefined) output.rows = rows;
  }

  /** The rows of the outputs that are named in `kept`. */
  rows(attempt: AttemptKey, kept: readonly string[]): PictureRow[] {
    const outputs = this.#attempts.get(keyOf(attempt));
    return kept.flatMap((name) => outputs?.get(name)?.rows ?? []);
  }

  /** Ends the attempt: keeps the outputs named in `kept` and removes the others. */
  async finish(attempt: AttemptKey, kept: readonly string[]): Promise<void> {
    const outputs = this.#attempts.get(keyOf(attempt)) ?? new Map<string, Output>();
    this.#attempts.delete(keyOf(attempt));
    const others: NewPicture[] = [];
    for (const [name, { picture }] of outputs) {
      if (kept.includes(name)) picture.keep();
      else others.push(picture);
    }
    await Promise.all(others.map((picture) => picture.discard()));
  }
}

function keyOf({ id, attempt }: AttemptKey): string {
  return `${id}.${attempt}`;
}

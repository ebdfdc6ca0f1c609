import { EventEmitter, once } from 'node:events';

/** What a program or a command has written so far. */
export class Written {
  stdout = '';
  stderr = '';
  readonly #changes = new EventEmitter();

  add(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    this.#changes.emit('more');
  }

  /** Resolves with the match when standard output matches; rejects when `ended` resolves without a match. */
  async printed(pattern: RegExp, ended: Promise<unknown>): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      const isEnded = await Promise.race([ended.then(() => true), once(this.#changes, 'more').then(() => false)]);
      if (!isEnded) continue;
      throw new Error(`Expected ${pattern} on standard output, received '${this.stdout}' and '${this.stderr}'`);
    }
  }
}

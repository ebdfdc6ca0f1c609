import { AsyncLocalStorage } from 'node:async_hooks';
import type { Written } from './written.ts';

/** The work of this process whose output is kept. */
const current = new AsyncLocalStorage<Written>();
let isDiverted = false;

/** Runs `work` in this process. What it writes to standard output and standard error goes to `written` instead. */
export function keepOutput(written: Written, work: () => Promise<void>): Promise<void> {
  if (!isDiverted) {
    isDiverted = true;
    divert('stdout');
    divert('stderr');
  }
  return current.run(written, work);
}

/** What other work writes, such as mocha, still goes to the stream. */
function divert(name: 'stdout' | 'stderr'): void {
  const stream = process[name];
  stream.write = new Proxy(stream.write, {
    apply: (write, self, words: unknown[]) => {
      const written = current.getStore();
      if (written === undefined) return Reflect.apply(write, self, words);
      written.add(name, String(words[0]));
      return true;
    },
  });
}
